"""Costs by calendar month, from what begins and ends in each.

A rental costs its monthly rate / 30.44 on every day from its start to its end, the end exclusive, one of
another unit as `model.costing` says; a purchase its price in the month of its start date. So the cost of
rentals in a month of n days is

    (n × Σ rates there so far, with those that begin and without those that end in it
       − Σ rates that begin × days of the month before they begin
       + Σ rates that end   × days of the month before they end) / 30.44

and nothing is needed of a record but its first day, its last one and its rate: sums over them by
month cost the same however long the records last. All of it is exact; the months of a phase add up
to the phase's whole cost.

What is shown of month k is `round(c[k]) − round(c[k−1])`, c[k] being the exact cost of all months up
to k, in the order of the calendar, purchases without a date last. Rounded by themselves, the months
would differ from the shown total by half a cent each, and a report would not add up; so they add up
to the cent, and each is at most a cent away from its exact cost.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

from pfa_core.errors import InvalidRequest
from pfa_core.model.costing import Costing
from pfa_core.model.figures import Cost, MonthGroup, PhaseCost, Quantity
from pfa_core.model.kpi import EXACT, MONTH, ZERO, Sums, cost, impact, variance_pct

# One record with the placeholder 9999-12-31 for "no end" has a hundred thousand months.
MOST_GROUPS = 100_000

_PHASES = ("plan", "forecast", "actual")


@dataclass(frozen=True, slots=True)
class Moves:
    """What begins and ends in a month of one phase.

    Rates are those of rentals, weighed by their unit; counts those of all records that last at least a day.
    `rate` is Σ rates that begin less Σ rates that end, `rate_days_before` the same with each rate
    times the days of the month before it begins or ends. `gone` ended on the month's first day and
    are not there any more, `ending` ended on a later one.
    """

    rate: Decimal = ZERO
    rate_days_before: Decimal = ZERO
    purchase: Decimal = ZERO
    begun: int = 0
    gone: int = 0
    ending: int = 0

    def weighed(self, costing: Costing, unit: str, currency: str) -> Moves:
        """Weigh the moves of records of one unit and one currency.

        Returns none of records that are left out of money.
        """
        if costing.excluded(unit, currency):
            return Moves()
        weight = costing.weight(unit) or ZERO
        return replace(
            self,
            rate=EXACT.multiply(self.rate, weight),
            rate_days_before=EXACT.multiply(self.rate_days_before, weight),
        )

    def plus(self, other: Moves, sign: int = 1) -> Moves:
        """Add the other moves (`sign=-1`: subtract them)."""
        with localcontext(EXACT):
            return Moves(
                *(
                    getattr(self, item.name) + sign * getattr(other, item.name)
                    for item in fields(Moves)
                )
            )


@dataclass(frozen=True, slots=True)
class Share:
    """A month's exact share of one phase.

    It holds Σ(days in it × rate), Σ prices and the number of records.
    """

    rate_days: Decimal
    purchase: Decimal
    records: int


_NOTHING = Share(ZERO, ZERO, 0)
# The shares of the phases by month.
_Series = dict[str | None, dict[str, Share]]
# Moves by the values of the other dimensions, then phase and month.
Flow = Mapping[tuple[Any, ...], Moves]


def shares(moves: Mapping[str | None, Moves]) -> list[tuple[str | None, Share]]:
    """List the months of one phase from its first one, in order; no date comes last.

    Args:
        moves: By month, `YYYY-MM` or None. What begins in them ends in them.
    """
    found: list[tuple[str | None, Share]] = []
    numbers = sorted(_number(month) for month in moves if month is not None)
    rate, records = ZERO, 0
    with localcontext(EXACT):
        for number, following in pairwise([*numbers, *numbers[-1:]]):
            here = moves[_name(number)]
            rate += here.rate
            records += here.begun - here.gone
            rate_days = rate * _days(number) - here.rate_days_before
            found.append((_name(number), Share(rate_days, here.purchase, records)))
            records -= here.ending
            if rate or records:
                found += (
                    (_name(between), Share(rate * _days(between), ZERO, records))
                    for between in range(number + 1, following)
                )
    if None in moves:
        found.append((None, Share(ZERO, moves[None].purchase, 0)))
    return found


def month_groups(merged: Flow, without: Flow, by: Sequence[str]) -> tuple[MonthGroup[Decimal], ...]:
    """List the months with any cost or quantity, by key.

    Args:
        merged: What begins and ends with the caller's modifications.
        without: The same of the mirror alone, for the baseline.
        by: The dimensions of the key, the month one of them; the flows have the others in order.

    Raises:
        InvalidRequest: More than `MOST_GROUPS` months, over all values of the other dimensions.
    """
    mine = _series(merged)
    theirs = mine if merged == without else _series(without)
    found: list[MonthGroup[Decimal]] = []
    for others in mine.keys() | theirs.keys():
        values = dict(zip((name for name in by if name != MONTH), others, strict=True))
        key = {name: values.get(name) for name in by}
        found += _shown(mine.get(others, {}), theirs.get(others, {}), key)
    return tuple(sorted(found, key=_place))


def _place(group: MonthGroup[Decimal]) -> tuple[tuple[bool, str], ...]:
    """Return what orders the groups: the values of the key, None last."""
    return tuple((value is None, str(value)) for value in group.key.values())


def _series(flow: Flow) -> dict[tuple[Any, ...], _Series]:
    by_phase: dict[tuple[Any, ...], dict[str | None, Moves]] = {}
    for (*others, phase, month), moves in flow.items():
        by_phase.setdefault((*others, phase), {})[month] = moves
    series: dict[tuple[Any, ...], _Series] = {}
    count = 0
    for (*others, phase), moves in by_phase.items():
        months = series.setdefault(tuple(others), {})
        count -= len(months)
        for month, share in shares(moves):
            months.setdefault(month, {})[phase] = share
        count += len(months)
        if count > MOST_GROUPS:
            raise InvalidRequest(
                f"the result has more than {MOST_GROUPS:,} months",
                hint="group by less, or leave out what ends far in the future: --end-to DATE",
            )
    return series


def _shown(mine: _Series, theirs: _Series, key: Mapping[str, Any]) -> Iterator[MonthGroup[Decimal]]:
    """Yield the months of one key in order, rounded so that they add up."""
    upto_mine = upto_theirs = Sums()
    before = _round(upto_mine, upto_theirs)
    months = mine.keys() | theirs.keys()
    for month in sorted(months, key=lambda name: (name is None, name or "")):
        my_shares, their_shares = mine.get(month, {}), theirs.get(month, {})
        my_sums, their_sums = _sums(my_shares), _sums(their_shares)
        quantity = Quantity(*(my_shares.get(phase, _NOTHING).records for phase in _PHASES))
        if quantity == Quantity(0, 0, 0) and my_sums == their_sums == Sums():
            continue
        upto_mine, upto_theirs = upto_mine.plus(my_sums), upto_theirs.plus(their_sums)
        now = _round(upto_mine, upto_theirs)
        yield MonthGroup(
            key={**key, MONTH: month},
            quantity=quantity,
            cost=_since(before[0], now[0], variance_pct(my_sums)),
            baseline_cost=_since(before[1], now[1], variance_pct(their_sums)),
            draft_impact=now[2] - before[2],
        )
        before = now


def _sums(shares: Mapping[str, Share]) -> Sums:
    plan, forecast, actual = (shares.get(phase, _NOTHING) for phase in _PHASES)
    return Sums(
        plan_rate_days=plan.rate_days,
        plan_purchase=plan.purchase,
        forecast_rate_days=forecast.rate_days,
        forecast_purchase=forecast.purchase,
        actual_rate_days=actual.rate_days,
        actual_purchase=actual.purchase,
    )


def _round(mine: Sums, theirs: Sums) -> tuple[Cost[Decimal], Cost[Decimal], Decimal]:
    my_cost = cost(mine)
    return my_cost, my_cost if theirs == mine else cost(theirs), impact(mine, theirs)


def _since(before: Cost[Decimal], now: Cost[Decimal], pct: Decimal) -> Cost[Decimal]:
    """Subtract rounded costs.

    The percentage is that of the month itself and not additive.
    """
    with localcontext(EXACT):
        return Cost(
            plan=_gained(before.plan, now.plan),
            forecast=_gained(before.forecast, now.forecast),
            actual=_gained(before.actual, now.actual),
            variance=now.variance - before.variance,
            variance_pct=pct,
        )


def _gained(before: PhaseCost[Decimal], now: PhaseCost[Decimal]) -> PhaseCost[Decimal]:
    return PhaseCost(
        now.rental - before.rental, now.purchase - before.purchase, now.total - before.total
    )


def _number(month: str) -> int:
    """Return the months since the year 0."""
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _name(number: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _days(number: int) -> int:
    year, month = divmod(number, 12)
    return monthrange(year, month + 1)[1]
