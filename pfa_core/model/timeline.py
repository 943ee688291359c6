"""Costs by month, quarter, year and period, by the values of other dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pfa_core.errors import InvalidRequest
from pfa_core.model.figures import MonthGroup, Others, Period, Quantity
from pfa_core.model.kpi import PERIODS
from pfa_core.model.months import Moves, Share, month_number, shares
from pfa_core.model.periods import ALWAYS, UNDATED, overlap, period_of, range_of, within
from pfa_core.model.spans import Month, Span, span, span_of, summed

# One record with the placeholder 9999-12-31 for "no end" has a hundred thousand months.
MOST_GROUPS = 100_000

# Moves by the values of the other dimensions, then phase and month.
Flow = Mapping[tuple[Any, ...], Moves]
Key = tuple[Any, ...]

_ByMonth = dict[str | None, Moves]


class Timeline:
    """The costs of any choice of months, and of values of the other dimensions.

    Args:
        merged: What begins and ends with the caller's modifications, by the other dimensions.
        without: The same of the mirror alone.
        by: The dimensions of keys, among them any of month, quarter, year; the flows have the others in order.
        period: The days that costs are limited to.
    """

    def __init__(self, merged: Flow, without: Flow, by: Sequence[str], period: Period) -> None:
        self._by = by
        self._period = within(period)
        self._mine = _by_key(merged)
        self._theirs = self._mine if merged == without else _by_key(without)
        self._keys = list(self._mine.keys() | self._theirs.keys())
        self._chosen: dict[Key, list[Key]] = {}
        self._series: dict[frozenset[Key], list[Month]] = {}
        # Of each leaf its series, and its months in it: there are many, and each is one run.
        self._leaves: dict[Key, tuple[list[Month], int, int]] = {}

    def leaves(self, *, counted: bool = False) -> list[Key]:
        """List the keys of the groups that have any cost or quantity.

        Args:
            counted: Those with a quantity only.

        Raises:
            InvalidRequest: More than `MOST_GROUPS` months, over all values of the other dimensions.
        """
        left = MOST_GROUPS
        for key in self._keys:
            series = self._of_keys([key])
            left -= len(series)
            if left < 0:
                raise InvalidRequest(
                    f"the result has more than {MOST_GROUPS:,} months",
                    hint="group by less, or leave out what is far in the future: add --to 2030",
                )
            first, last = self._period
            for place, month in enumerate(series):
                if first <= month.number <= last and (not counted or any(month.records)):
                    leaf = self._key_of(key, month.number)
                    start = self._leaves[leaf][1] if leaf in self._leaves else place
                    self._leaves[leaf] = (series, start, place + 1)
        return list(self._leaves)

    def group(self, prefix: Key) -> MonthGroup[Decimal]:
        """Compute the group of a key, or the sums of those whose keys begin so."""
        if prefix in self._leaves:
            series, start, end = self._leaves[prefix]
            found = span_of(series, [(start, end)])
        else:
            found = self._span(prefix)
        return MonthGroup(
            key=dict(zip(self._by, prefix, strict=False)),
            quantity=found.quantity or Quantity(0, 0, 0),
            cost=found.cost,
            baseline_cost=found.baseline_cost,
            draft_impact=found.draft_impact,
        )

    def others(self, prefix: Key, values: Sequence[Any]) -> Others[Decimal]:
        """Compute the sums of the groups that have one of these values behind a prefix."""
        found = self._span(prefix, values)
        return Others(
            key=dict(zip(self._by, prefix, strict=False)),
            group_count=len(values),
            quantity=found.quantity,
            cost=found.cost,
            baseline_cost=found.baseline_cost,
            draft_impact=found.draft_impact,
        )

    def _key_of(self, key: Key, number: int) -> Key:
        values = iter(key)
        return tuple(
            period_of(name, number) if name in PERIODS else next(values) for name in self._by
        )

    def _span(self, prefix: Key, values: Sequence[Any] | None = None) -> Span:
        wanted: list[Iterable[Any]] = [(value,) for value in prefix]
        wanted += [] if values is None else [values]
        named = list(zip(self._by, wanted, strict=False))
        fields = [tuple(choice) for name, choice in named if name not in PERIODS]
        series = self._of_keys(self._matching(fields))
        ranges = [self._period]
        for name, choice in named:
            if name in PERIODS:
                parts = [range_of(value) for value in choice]
                ranges = [overlap(one, part) for one in ranges for part in parts]
        return span(series, ranges)

    def _matching(self, fields: Sequence[tuple[Any, ...]]) -> list[Key]:
        """List the keys that begin with one of the values of each field."""
        place = tuple(fields)
        if place not in self._chosen:
            sets = [frozenset(choice) for choice in fields]
            self._chosen[place] = [
                key
                for key in self._keys
                if all(value in chosen for value, chosen in zip(key, sets, strict=False))
            ]
        return self._chosen[place]

    def _of_keys(self, keys: Sequence[Key]) -> list[Month]:
        chosen = frozenset(keys)
        if chosen not in self._series:
            upto = None if self._period == ALWAYS else self._period[1]
            mine = _months(self._mine, keys, upto)
            same = self._theirs is self._mine
            theirs = mine if same else _months(self._theirs, keys, upto)
            self._series[chosen] = list(summed(mine, theirs))
        return self._series[chosen]


def _by_key(flow: Flow) -> dict[Key, dict[str, _ByMonth]]:
    found: dict[Key, dict[str, _ByMonth]] = {}
    for (*others, phase, month), moves in flow.items():
        found.setdefault(tuple(others), {}).setdefault(phase, {})[month] = moves
    return found


def _months(
    flow: Mapping[Key, Mapping[str, _ByMonth]], keys: Iterable[Key], upto: int | None
) -> dict[int, dict[str, Share]]:
    """Compute the shares of the phases, by the number of the month."""
    folded: dict[str, _ByMonth] = {}
    for key in keys:
        for phase, months in flow.get(key, {}).items():
            into = folded.setdefault(phase, {})
            for month, moves in months.items():
                into[month] = into[month].plus(moves) if month in into else moves
    found: dict[int, dict[str, Share]] = {}
    for phase, moves in folded.items():
        for month, share in shares(moves, upto):
            number = UNDATED if month is None else month_number(month)
            found.setdefault(number, {})[phase] = share
    return found
