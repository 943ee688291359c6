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

What is shown of them is in `model.spans`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, localcontext
from itertools import pairwise

from pfa_core.model.costing import Costing
from pfa_core.model.money import EXACT, ZERO


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

    It holds Σ(days in it × rate), Σ prices, the number of records and of those that begin in it.
    """

    rate_days: Decimal
    purchase: Decimal
    records: int
    begun: int = 0


def shares(
    moves: Mapping[str | None, Moves], upto: int | None = None
) -> list[tuple[str | None, Share]]:
    """List the months of one phase from its first one, in order; no date comes last.

    Args:
        moves: By month, `YYYY-MM` or None. What begins in them ends in them.
        upto: The number of the last month that is wanted, see `month_number`.
    """
    found: list[tuple[str | None, Share]] = []
    numbers = sorted(month_number(month) for month in moves if month is not None)
    if upto is not None:
        ended = [number for number in numbers if number > upto]
        # The first month behind the last one that is wanted ends the months between them.
        numbers = [number for number in numbers if number <= upto]
        numbers += [upto + 1] if ended and numbers else []
    rate, records = ZERO, 0
    with localcontext(EXACT):
        for number, following in pairwise([*numbers, *numbers[-1:]]):
            if upto is not None and number > upto:
                break
            here = moves[month_name(number)]
            rate += here.rate
            records += here.begun - here.gone
            rate_days = rate * _days(number) - here.rate_days_before
            share = Share(rate_days, here.purchase, records, here.begun)
            found.append((month_name(number), share))
            records -= here.ending
            if rate or records:
                found += (
                    (month_name(between), Share(rate * _days(between), ZERO, records))
                    for between in range(number + 1, following)
                )
    if None in moves:
        found.append((None, Share(ZERO, moves[None].purchase, 0)))
    return found


def month_number(month: str) -> int:
    """Return the months since the year 0."""
    return int(month[:4]) * 12 + int(month[5:]) - 1


def month_name(number: int) -> str:
    """Name the month of a number as `YYYY-MM`."""
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _days(number: int) -> int:
    year, month = divmod(number, 12)
    return monthrange(year, month + 1)[1]
