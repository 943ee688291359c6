"""Runs of months of one series of costs, rounded so that they add up.

What is shown of the months i to k is `round(c[k]) − round(c[i−1])`, c[k] being the exact cost of all months up
to k, in the order of the calendar, purchases without a date last. Rounded by themselves, the months
would differ from the shown total by half a cent each, and a report would not add up; so months add up to
their quarters, years and totals to the cent, each is at most a cent away from its exact cost, and is the same
whichever period is asked for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal, localcontext
from itertools import pairwise

from pfa_core.model.figures import Cost, PhaseCost, Quantity
from pfa_core.model.kpi import Sums, cost, impact, variance_pct
from pfa_core.model.money import EXACT, ZERO
from pfa_core.model.months import Share
from pfa_core.model.periods import Range

_PHASES = ("plan", "forecast", "actual")
_NOTHING = Share(ZERO, ZERO, 0)
_Counts = tuple[int, int, int]
Shares = Mapping[int, Mapping[str, Share]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upto:
    """All months up to one: exact sums and their cost.

    They are with and without the caller's modifications.
    """

    mine: Sums
    theirs: Sums
    cost: Cost[Decimal]
    baseline_cost: Cost[Decimal]
    impact: Decimal


@dataclass(frozen=True, slots=True)
class Month:
    """One month of a series: its records by phase, and what is summed up to it."""

    number: int
    records: _Counts
    _: KW_ONLY
    begun: _Counts
    upto: _Upto


@dataclass(frozen=True, slots=True)
class Span:
    """What is shown of some months."""

    quantity: Quantity | None
    cost: Cost[Decimal]
    baseline_cost: Cost[Decimal]
    draft_impact: Decimal


@dataclass(frozen=True, slots=True)
class _Gain:
    """Rounded amounts of a run of months, and its exact sums, for the percentage."""

    amounts: list[Decimal]
    sums: Sums

    def plus(self, other: _Gain) -> _Gain:
        """Add another run."""
        pairs = zip(self.amounts, other.amounts, strict=True)
        return _Gain([EXACT.add(one, two) for one, two in pairs], self.sums.plus(other.sums))

    def shown(self) -> Cost[Decimal]:
        """Return the amounts as costs; the percentage is not additive."""
        return Cost(
            plan=PhaseCost(*self.amounts[0:3]),
            forecast=PhaseCost(*self.amounts[3:6]),
            actual=PhaseCost(*self.amounts[6:9]),
            variance=self.amounts[9],
            variance_pct=variance_pct(self.sums),
        )


def summed(mine: Shares, theirs: Shares) -> Iterator[Month]:
    """Yield the months with any cost or quantity, in order.

    Args:
        mine: Shares of the phases by the number of the month, with the caller's modifications.
        theirs: The same of the mirror alone.
    """
    my_upto = their_upto = Sums()
    for number in sorted(mine.keys() | theirs.keys()):
        my_shares, their_shares = mine.get(number, {}), theirs.get(number, {})
        my_sums, their_sums = _sums(my_shares), _sums(their_shares)
        phases = [my_shares.get(phase, _NOTHING) for phase in _PHASES]
        records = _counts(share.records for share in phases)
        if not any(records) and my_sums == their_sums == Sums():
            continue
        my_upto, their_upto = my_upto.plus(my_sums), their_upto.plus(their_sums)
        begun = _counts(share.begun for share in phases)
        yield Month(number, records, begun=begun, upto=_upto(my_upto, their_upto))


def _counts(numbers: Iterable[int]) -> _Counts:
    plan, forecast, actual = numbers
    return plan, forecast, actual


def _upto(mine: Sums, theirs: Sums) -> _Upto:
    my_cost = cost(mine)
    their_cost = my_cost if theirs == mine else cost(theirs)
    return _Upto(
        mine=mine,
        theirs=theirs,
        cost=my_cost,
        baseline_cost=their_cost,
        impact=impact(mine, theirs),
    )


_BEFORE = _upto(Sums(), Sums())


def _sums(of: Mapping[str, Share]) -> Sums:
    plan, forecast, actual = (of.get(phase, _NOTHING) for phase in _PHASES)
    return Sums(
        plan_rate_days=plan.rate_days,
        plan_purchase=plan.purchase,
        forecast_rate_days=forecast.rate_days,
        forecast_purchase=forecast.purchase,
        actual_rate_days=actual.rate_days,
        actual_purchase=actual.purchase,
    )


def _places(series: Sequence[Month], ranges: Iterable[Range]) -> list[Range]:
    """Find the runs of a series that are in ranges, as Python's slices do."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        start = bisect_left(series, first, key=lambda month: month.number)
        end = bisect_right(series, last, key=lambda month: month.number)
        if start < end:
            found.append((start, end))
    joined = found[:1]
    for (_, end), following in pairwise(found):
        if following[0] == end:
            joined[-1] = (joined[-1][0], following[1])
        else:
            joined.append(following)
    return joined


def span(series: Sequence[Month], ranges: Iterable[Range]) -> Span:
    """Add up the months of a series that are in some ranges."""
    return span_of(series, _places(series, ranges))


def span_of(series: Sequence[Month], runs: Sequence[Range]) -> Span:
    """Add up the months of some runs of a series, each as Python's slices are."""
    found = [
        _since(series[start - 1].upto if start else _BEFORE, series[end - 1].upto)
        for start, end in runs
    ]
    mine, theirs, draft_impact = found[0] if found else _since(_BEFORE, _BEFORE)
    for more, their_more, impact_more in found[1:]:
        same = theirs is mine and their_more is more
        mine = mine.plus(more)
        theirs = mine if same else theirs.plus(their_more)
        draft_impact = EXACT.add(draft_impact, impact_more)
    shown = mine.shown()
    baseline = shown if theirs is mine else theirs.shown()
    return Span(_quantity(series, runs), shown, baseline, draft_impact)


def _since(before: _Upto, now: _Upto) -> tuple[_Gain, _Gain, Decimal]:
    """Subtract what is rounded up to one month from what is up to another."""
    mine = _gain(before.cost, now.cost, before.mine, now.mine)
    same = before.baseline_cost is before.cost and now.baseline_cost is now.cost
    theirs = (
        mine if same else _gain(before.baseline_cost, now.baseline_cost, before.theirs, now.theirs)
    )
    return mine, theirs, EXACT.subtract(now.impact, before.impact)


def _gain(before: Cost[Decimal], now: Cost[Decimal], sums_before: Sums, sums_now: Sums) -> _Gain:
    with localcontext(EXACT):
        amounts = [b - a for a, b in zip(_flat(before), _flat(now), strict=True)]
    return _Gain(amounts, sums_now.plus(sums_before, -1))


def _quantity(series: Sequence[Month], runs: Sequence[Range]) -> Quantity | None:
    """Count the records of one run: those of its first month, and what begins later.

    Of several runs that is unknown: a record may be there in both, and none is read by itself.
    """
    if not runs:
        return Quantity(0, 0, 0)
    if len(runs) > 1:
        return None
    ((start, end),) = runs
    later = [month.begun for month in series[start + 1 : end]]
    return Quantity(*map(sum, zip(series[start].records, *later, strict=True)))


def _flat(costs: Cost[Decimal]) -> list[Decimal]:
    phases = (costs.plan, costs.forecast, costs.actual)
    return [
        *(amount for phase in phases for amount in (phase.rental, phase.purchase, phase.total)),
        costs.variance,
    ]
