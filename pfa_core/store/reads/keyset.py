"""Keyset pagination as SQL over a table called r.

Orders are cut into segments that an index serves. No index has DESC NULLS LAST, none gives a range for
"after it, or null", and a field of few values is not worth an index: rows with a value, rows of each
value and rows without one are a segment each, read one after the other until there are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple

from pfa_core.model.ordering import SortKey
from pfa_core.model.query import complete_sort
from pfa_core.model.record import COSTS, LIST_SORTABLE, Kind
from pfa_core.sql import numeral
from pfa_core.store.reads.filters import TRUE

# Fields whose index ends with the PFA id: it has the order of the records without a value too.
_INDEXED_WITH_ID = ("forecastStart",)
# Fields without an index: a page in their order reads all records before it sorts a hundred.
_UNORDERED = ("originalEnd", "actualStart", "actualEnd")
_CASTS: dict[Kind, LiteralString] = {Kind.MONEY: "::numeric", Kind.FLAG: "::boolean"}
# How many orders are kept as text: to compose one again for each page takes as long as to read a record.
_ORDERS = 100


class _Key(NamedTuple):
    """A sort key of the completed order, and its number in it."""

    number: int
    field: str
    descending: bool

    @property
    def column(self) -> LiteralString:
        table: LiteralString = "k" if self.field in COSTS else "r"
        return f"{table}.{LIST_SORTABLE[self.field].column}"

    @property
    def alias(self) -> LiteralString:
        return f"key_{numeral(self.number)}"

    @property
    def place(self) -> LiteralString:
        cast = _CASTS.get(LIST_SORTABLE[self.field].kind, "::text")
        return f"%(place_{numeral(self.number)})s{cast}"

    @property
    def nullable(self) -> bool:
        return self.field != "pfaId" and LIST_SORTABLE[self.field].kind is not Kind.FLAG

    @property
    def values(self) -> Sequence[LiteralString]:
        """List all values of the field, in order, as a cursor spells them.

        Empty: too many.
        """
        field = LIST_SORTABLE[self.field]
        texts: list[LiteralString] = (
            ["false", "true"] if field.kind is Kind.FLAG else sorted(field.choices)
        )
        return texts[::-1] if self.descending else texts


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of an order.

    It has its condition, and its rows' order by columns of r and by their aliases. `of_mirror` is the
    same condition for the mirror: where it can be one comparison of rows, a page after a cursor is
    planned as fast as the first one. For overlays the planner would estimate so many rows that it
    prefers to read all modifications.
    """

    condition: LiteralString
    of_mirror: LiteralString
    order: LiteralString
    shown_order: LiteralString


@lru_cache(_ORDERS)
def order(keys: tuple[SortKey, ...]) -> LiteralString:
    """Compose ORDER BY over the aliases of the completed keys, nulls last either way."""
    return ", ".join(
        f"{key.alias} {'DESC NULLS LAST' if key.descending else 'ASC NULLS LAST'}"
        for key in _completed(keys)
    )


@lru_cache(_ORDERS)
def key_columns(keys: tuple[SortKey, ...]) -> LiteralString:
    """List the sort values as further columns key_0, key_1, …"""
    return "".join(f", {key.column} AS {key.alias}" for key in _completed(keys))


def place_values(place: Sequence[str | None] | None) -> dict[str, Any]:
    """Make the parameters of a place in the order."""
    return {f"place_{number}": value for number, value in enumerate(place or ())}


def segments(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Sequence[Segment]:
    """Cut the order after a place into segments that follow one another."""
    return _from_the_start(keys) if place is None else _segments(keys, place)


@lru_cache(_ORDERS)
def _from_the_start(keys: tuple[SortKey, ...]) -> Sequence[Segment]:
    return _segments(keys, None)


def _segments(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Sequence[Segment]:
    lead, *rest = _completed(keys)
    segments: list[Segment] = []
    if lead.values:
        segments.extend(_by_value(lead, rest, place))
    elif place is None or place[0] is not None:
        segments.append(_with_value(lead, rest, place))
    if lead.nullable:
        segments.append(_without_value(lead, rest, place))
    return segments


def whole_order(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Segment:
    """Make one segment of the order after a place, for few rows: no index serves it."""
    if place is None:
        return _whole(keys)
    every = _completed(keys)
    return _segment([_after(every, place)], every)


@lru_cache(_ORDERS)
def _whole(keys: tuple[SortKey, ...]) -> Segment:
    return _segment([], _completed(keys))


def reads_a_page(keys: tuple[SortKey, ...]) -> bool:
    """Return whether an index serves the order.

    A page then reads about as many rows as it shows.
    """
    return not reads_all(keys) and _completed(keys)[0].field not in _UNORDERED


def reads_all(keys: tuple[SortKey, ...]) -> bool:
    """Return whether the order begins with a cost, of which there is no column."""
    return _completed(keys)[0].field in COSTS


@lru_cache(_ORDERS)
def _completed(keys: tuple[SortKey, ...]) -> tuple[_Key, ...]:
    return tuple(
        _Key(number, key.field, key.descending) for number, key in enumerate(complete_sort(keys))
    )


def _with_value(lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None) -> Segment:
    bounds: list[LiteralString] = []
    if lead.nullable:
        bounds.append(f"{lead.column} IS NOT NULL")
    if place is not None:
        bounds.append(f"{lead.column} {'<=' if lead.descending else '>='} {lead.place}")
        keys = [lead, *rest]
        as_row: list[LiteralString] | None = None
        if _compare_as_row(lead, rest):
            as_row = [*bounds, _row_after(keys)]
        bounds.append(_after(keys, place, without_nulls=lead))
        return _segment(bounds, keys, without_nulls=lead, of_mirror=as_row)
    return _segment(bounds, [lead, *rest], without_nulls=lead)


def _compare_as_row(lead: _Key, rest: Sequence[_Key]) -> bool:
    """Return whether the keys compare as one row.

    They do with one direction, and nulls in the first at most.
    """
    return all(not key.nullable and key.descending == lead.descending for key in rest)


def _row_after(keys: Sequence[_Key]) -> LiteralString:
    """Compare rows with a place at once, which is a range of an index on the keys."""
    columns = ", ".join(key.column for key in keys)
    places = ", ".join(key.place for key in keys)
    return f"({columns}) {'<' if keys[0].descending else '>'} ({places})"


def _by_value(
    lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None
) -> Iterator[Segment]:
    values = lead.values
    if place is not None:  # a text that is not a value of the field is the place after all of them
        values = values[values.index(place[0]) :] if place[0] in values else ()
    for value in values:
        bounds: list[LiteralString] = [_is(lead, value)]
        if place is not None and value == place[0] and rest:
            bounds.append(_after(rest, place))
        elif place is not None and value == place[0]:
            continue
        yield _segment(bounds, rest)


def _without_value(lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None) -> Segment:
    bounds: list[LiteralString] = [f"{lead.column} IS NULL"]
    if place is not None and place[0] is None:
        bounds.append(_after(rest, place))
    # Also by the column that is null here: else PostgreSQL does not see that the index has the order.
    named = [lead._replace(descending=False)] if lead.field in _INDEXED_WITH_ID else []
    return _segment(bounds, [*named, *rest])


def _segment(
    bounds: Sequence[LiteralString],
    keys: Sequence[_Key],
    *,
    without_nulls: _Key | None = None,
    of_mirror: Sequence[LiteralString] | None = None,
) -> Segment:
    def direction(key: _Key) -> LiteralString:
        has_value = key == without_nulls or not key.nullable
        down = "DESC" if has_value else "DESC NULLS LAST"
        return down if key.descending else "ASC"

    def all_of(conditions: Sequence[LiteralString]) -> LiteralString:
        return " AND ".join(conditions) if conditions else TRUE

    return Segment(
        all_of(bounds),
        all_of(bounds if of_mirror is None else of_mirror),
        ", ".join(f"{key.column} {direction(key)}" for key in keys),
        ", ".join(f"{key.alias} {direction(key)}" for key in keys),
    )


def _is(key: _Key, value: LiteralString) -> LiteralString:
    wanted = value if LIST_SORTABLE[key.field].kind is Kind.FLAG else f"'{value}'"
    return f"{key.column} = {wanted}"


def _after(
    keys: Sequence[_Key], place: Sequence[str | None], *, without_nulls: _Key | None = None
) -> LiteralString:
    """Select the rows after a place.

    They are equal on the first keys, and after it on the next one.
    """
    choices: list[LiteralString] = []
    equal: list[LiteralString] = []
    for key in keys:
        value = place[key.number]
        if value is not None:
            after = _beyond(key, nulls=key.nullable and key != without_nulls)
            choices.append(f"({' AND '.join([*equal, after])})")
            equal.append(f"{key.column} = {key.place}")
        else:
            equal.append(f"{key.column} IS NULL")
    return f"({' OR '.join(choices)})" if choices else "false"


def _beyond(key: _Key, *, nulls: bool) -> LiteralString:
    beyond = f"{key.column} {'<' if key.descending else '>'} {key.place}"
    return f"({beyond} OR {key.column} IS NULL)" if nulls else beyond
