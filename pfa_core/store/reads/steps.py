"""Orders in which many records share a value, read one value after the other.

The index of such a field has no PFA ids: for a page of a class, all records of the class were read and sorted.
Where records of a value come soon in the order of the rest of the keys, a page of the value is read in that order.
Values of few records are read together, as a range: it has fewer of them than a page.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ordering import SortKey
from pfa_core.model.record import LIST_SORTABLE, Kind
from pfa_core.store.reads.keys import ORDERS, Key, completed
from pfa_core.store.reads.keyset import (
    Segment,
    after,
    cut,
    names_costs,
    segment,
    segments,
    without_value,
)

_SQL = sql.statements("merged")
# Fields whose index does not end with the PFA id.
_SHARED = frozenset(
    (
        *("category", "class", "areaSilo", "manufacturer", "model", "contract"),
        *("originalStart", "originalEnd", "forecastEnd", "actualStart", "actualEnd"),
        *("monthlyRate", "purchasePrice"),
    )
)
_CATEGORY_ORDER = ("category", "forecastStart")  # an index has it, with the PFA id behind
# So many records are looked at for a page of one value.
_AHEAD = 8000
# So many values are looked at; behind them the rest of the order is read at once. With filters most records of a
# value may not match.
_MOST, _MOST_FILTERED = 40, 8
# So many records that match are read and sorted: to find a page of them in the order would take longer.
_FEW = 1000


# Of a place: whether its value is included, and which values at the cursor are null.
Shape = tuple[str, tuple[bool, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A segment of an order, and the values that its condition names."""

    segment: Segment
    values: Mapping[str, str] = field(default_factory=dict)


def in_steps(keys: tuple[SortKey, ...]) -> bool:
    """Return whether a page in the order is read value by value."""
    lead, *rest = completed(keys)
    fields = (lead.field, *(key.field for key in rest[:1]))
    indexed = fields == _CATEGORY_ORDER and not lead.descending
    return lead.field in _SHARED and not indexed and not names_costs(keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The order after a place, cut into segments while it is read.

    Args:
        place: That of a cursor, as it spells the values.
        conditions: Those of the filters; `values` has their parameters.
        looked_at: The fields that they read; empty: there are none.
        in_rollup: The rollup has all of these.
        upto: How many records are wanted.
    """

    conn: Connection[Any]
    keys: tuple[SortKey, ...]
    place: Sequence[str | None] | None
    conditions: LiteralString
    values: Mapping[str, Any]
    looked_at: Collection[str]
    in_rollup: bool
    upto: int

    def cut(self) -> Generator[Step, None, None]:
        """Make the segments, each when the one before was read."""
        place = self.place
        if place is None or place[0] is not None:
            yield from self._of_values()
            place = None
        yield Step(without_value(self.keys, place))

    def _of_values(self) -> Iterator[Step]:
        if self.looked_at and self._are_few():
            return iter((self._sorted(self._plain()),))
        is_money = LIST_SORTABLE[self.keys[0].field].kind is Kind.MONEY
        return self._with_amounts() if is_money else self._with_values()

    def _with_values(self) -> Generator[Step, None, None]:
        at = place = _Place.of(self.place)
        for _ in range(_MOST_FILTERED if self.looked_at else _MOST):
            found, further = self._next_values(at)
            if found is None or further is None:
                break
            if found != further:  # fewer than a page before it
                yield self._range(at, before=further)
                at = _Place(further, included=True)
                continue
            within = at if at is place and at.value == found else _NOWHERE
            if not self._soon(found, within):
                break
            yield from self._one_value(found, at, within)
            at = _Place(found)
        yield self._rest(self._plain() if at is place else self._range(at))

    def _with_amounts(self) -> Generator[Step, None, None]:
        """Make the segments of an order by money.

        Comparisons of numbers are not leakproof: under row-level security they are no range of the index. So only
        the first value is looked at.
        """
        at = place = _Place.of(self.place)
        value = at.value
        if value is None:
            found, further = self._next_values(at)
            value = found if found == further else None
        if value is not None and self._soon(value, place):
            yield from self._one_value(value, at, place)
            at = _Place(value)
        yield self._rest(self._plain() if at is place else self._range(at))

    def _one_value(self, value: str, at: _Place, within: _Place) -> Generator[Step, None, None]:
        if within.value is None:  # between the mirror's values only the caller's records have one
            gap = self._range(at, before=value)
            yield replace(gap, segment=replace(gap.segment, of_mirror="false"))
        for part in self._of_value(within):
            yield Step(part, {"step_to": value})

    def _plain(self) -> Step:
        return Step(segments(self.keys, self.place)[0])

    def _rest(self, step: Step) -> Step:
        """Make the last segment, without an index where its first records do not match.

        The planner takes what matches for spread evenly. Where filter and order exclude each other (what is bought
        has no rate) it would read the index from end to end for nothing.
        """
        if not self.looked_at or self.keys[0].field in self.looked_at:
            return step
        part = step.segment
        statement = _SQL["any_soon"].format(
            segment=part.of_mirror, order=self._by_lead(), conditions=self.conditions
        )
        row = self.conn.execute(
            statement, {**self.values, **step.values, "ahead": _AHEAD}
        ).fetchone()
        return step if row and row[0] else self._sorted(step)

    def _are_few(self) -> bool:
        statement = _SQL["some_matching"].format(conditions=self.conditions)
        row = self.conn.execute(statement, {**self.values, "few": _FEW}).fetchone()
        return bool(row and row[0] < _FEW)

    def _by_lead(self) -> LiteralString:
        lead = completed(self.keys)[0]
        return f"{lead.column} DESC" if lead.descending else lead.column

    def _sorted(self, step: Step) -> Step:
        """Order by an expression of the value that no index has.

        What matches is then read and sorted.
        """
        lead = completed(self.keys)[0]
        is_money = LIST_SORTABLE[lead.field].kind is Kind.MONEY
        value: LiteralString = f"({lead.column} + 0)" if is_money else f"({lead.column} || '')"
        order = step.segment.order.replace(lead.column, value, 1)
        return replace(step, segment=replace(step.segment, order=order))

    def _next_values(self, at: _Place) -> tuple[str | None, str | None]:
        """Return the next value, and that of the record a page further.

        None: fewer follow.
        """
        statement = _next_values(self.keys, at.shape)
        values = {**self.values, "upto": self.upto, "step_from": at.value}
        row = self.conn.execute(statement, values).fetchone()
        return row or (None, None)

    def _soon(self, value: str, within: _Place) -> bool:
        """Return whether a page of the value comes soon in the order of the other keys."""
        lead, *rest = completed(self.keys)
        walked = cut(rest, self.place if within.value is not None else None)[0]
        statement = _SQL["value_soon"].format(
            segment=walked.of_mirror,
            order=walked.order,
            value=_is(lead),
            conditions=self.conditions,
        )
        values = {**self.values, "upto": self.upto, "ahead": _AHEAD, "step_to": value}
        row = self.conn.execute(statement, values).fetchone()
        return bool(row and row[0] == self.upto)

    def _of_value(self, within: _Place) -> Iterator[Segment]:
        """Make the segments of one value, or of its records behind the cursor."""
        lead, *rest = completed(self.keys)
        for part in cut(rest, self.place if within.value is not None else None):
            yield replace(
                part,
                condition=f"{_is(lead)} AND {part.condition}",
                of_mirror=f"{_is(lead)} AND {part.of_mirror}",
            )

    def _range(self, at: _Place, before: str | None = None) -> Step:
        values = {"step_from": at.value, "step_to": before}
        given = {name: value for name, value in values.items() if value is not None}
        return Step(_range(self.keys, at.shape, before=before is not None), given)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to go on: behind a value, with its records, or with those behind a cursor.

    `nulls`: of each value at the cursor, whether it is null.
    """

    value: str | None = None
    included: bool = False
    nulls: tuple[bool, ...] = ()

    @classmethod
    def of(cls, place: Sequence[str | None] | None) -> _Place:
        if place is None:
            return _NOWHERE
        return cls(place[0], included=True, nulls=tuple(value is None for value in place))

    @property
    def shape(self) -> Shape:
        """Return what a statement depends on."""
        if self.value is None:
            return "", ()
        return ("=" if self.included else "<>"), self.nulls


_NOWHERE = _Place()


@lru_cache(ORDERS)
def _next_values(keys: tuple[SortKey, ...], shape: Shape) -> LiteralString:
    lead = completed(keys)[0]
    return _SQL["values_ahead"].format(
        column=lead.column,
        bound=_bound(keys, shape[0]),
        order=f"{lead.column} DESC" if lead.descending else lead.column,
    )


def _bound(keys: tuple[SortKey, ...], how: str) -> LiteralString:
    lead = completed(keys)[0]
    if not how:
        return f"{lead.column} IS NOT NULL"
    beyond: LiteralString = "<" if lead.descending else ">"
    or_equal: LiteralString = "=" if how == "=" else ""
    return f"{lead.column} {beyond}{or_equal} %(step_from)s{lead.cast}"


def _is(lead: Key) -> LiteralString:
    return f"{lead.column} = %(step_to)s{lead.cast}"


def _spelled(nulls: tuple[bool, ...]) -> list[str | None]:
    """Make a place of which only is known what is null in it."""
    return [None if is_null else "" for is_null in nulls]


@lru_cache(ORDERS)
def _range(keys: tuple[SortKey, ...], shape: Shape, *, before: bool) -> Segment:
    """Make the segment from one value to another, or to the last one."""
    lead, *rest = completed(keys)
    bounds: list[LiteralString] = [f"{lead.column} IS NOT NULL", _bound(keys, shape[0])]
    if shape[1]:
        bounds.append(after([lead, *rest], _spelled(shape[1]), without_nulls=lead))
    if before:
        below: LiteralString = ">" if lead.descending else "<"
        bounds.append(f"{lead.column} {below} %(step_to)s{lead.cast}")
    return segment(bounds, [lead, *rest], without_nulls=lead)
