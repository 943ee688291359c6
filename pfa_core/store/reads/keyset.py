"""Keyset pagination as SQL over a table called r.

Orders are cut into segments that an index serves. No index has DESC NULLS LAST, none gives a range for
"after it, or null", and a field of few values is not worth an index: rows with a value, rows of each
value and rows without one are a segment each, read one after the other until there are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString

from pfa_core.model.ordering import SortKey
from pfa_core.model.record import COSTS, LIST_SORTABLE, Kind
from pfa_core.store.reads.filters import TRUE
from pfa_core.store.reads.keys import ORDERS, Key, completed

# Fields whose index ends with the PFA id: it has the order of the records without a value too.
_INDEXED_WITH_ID = ("forecastStart",)


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


def segments(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Sequence[Segment]:
    """Cut the order after a place into segments that follow one another."""
    return _from_the_start(keys) if place is None else cut(completed(keys), place)


@lru_cache(ORDERS)
def _from_the_start(keys: tuple[SortKey, ...]) -> Sequence[Segment]:
    return cut(completed(keys), None)


def cut(keys: Sequence[Key], place: Sequence[str | None] | None) -> Sequence[Segment]:
    """Cut the order of some keys after a place into segments."""
    lead, *rest = keys
    segments: list[Segment] = []
    if lead.values:
        segments.extend(_by_value(lead, rest, place))
    elif place is None or place[lead.number] is not None:
        segments.append(_with_value(lead, rest, place))
    if lead.nullable:
        segments.append(_without_value(lead, rest, place))
    return segments


def without_value(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Segment:
    """Make the last segment, of the records without a value of the first key."""
    lead, *rest = completed(keys)
    return _without_value(lead, rest, place)


def whole_order(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Segment:
    """Make one segment of the order after a place, for few rows: no index serves it."""
    if place is None:
        return _whole(keys)
    every = completed(keys)
    return segment([after(every, place)], every)


@lru_cache(ORDERS)
def _whole(keys: tuple[SortKey, ...]) -> Segment:
    return segment([], completed(keys))


def reads_a_page(keys: tuple[SortKey, ...]) -> bool:
    """Return whether an index serves the order.

    A page then reads about as many rows as it shows.
    """
    return not reads_all(keys)


def reads_all(keys: tuple[SortKey, ...]) -> bool:
    """Return whether the order begins with a cost, of which there is no column."""
    return completed(keys)[0].field in COSTS


def names_costs(keys: tuple[SortKey, ...]) -> bool:
    """Return whether a cost is among the keys: r alone has not their order."""
    return any(key.field in COSTS for key in keys)


def _with_value(lead: Key, rest: Sequence[Key], place: Sequence[str | None] | None) -> Segment:
    bounds: list[LiteralString] = []
    if lead.nullable:
        bounds.append(f"{lead.column} IS NOT NULL")
    if place is not None:
        bounds.append(f"{lead.column} {'<=' if lead.descending else '>='} {lead.place}")
        keys = [lead, *rest]
        as_row: list[LiteralString] | None = None
        if _compare_as_row(lead, rest):
            as_row = [*bounds, _row_after(keys)]
        bounds.append(after(keys, place, without_nulls=lead))
        return segment(bounds, keys, without_nulls=lead, of_mirror=as_row)
    return segment(bounds, [lead, *rest], without_nulls=lead)


def _compare_as_row(lead: Key, rest: Sequence[Key]) -> bool:
    """Return whether the keys compare as one row.

    They do with one direction, and nulls in the first at most.
    """
    return all(not key.nullable and key.descending == lead.descending for key in rest)


def _row_after(keys: Sequence[Key]) -> LiteralString:
    """Compare rows with a place at once, which is a range of an index on the keys."""
    columns = ", ".join(key.column for key in keys)
    places = ", ".join(key.place for key in keys)
    return f"({columns}) {'<' if keys[0].descending else '>'} ({places})"


def _by_value(
    lead: Key, rest: Sequence[Key], place: Sequence[str | None] | None
) -> Iterator[Segment]:
    values = lead.values
    if place is not None:  # a text that is not a value of the field is the place after all of them
        at = place[lead.number]
        values = values[values.index(at) :] if at in values else ()
    for value in values:
        bounds: list[LiteralString] = [_is(lead, value)]
        if place is not None and value == place[lead.number] and rest:
            bounds.append(after(rest, place))
        elif place is not None and value == place[lead.number]:
            continue
        yield segment(bounds, rest)


def _without_value(lead: Key, rest: Sequence[Key], place: Sequence[str | None] | None) -> Segment:
    bounds: list[LiteralString] = [f"{lead.column} IS NULL"]
    if place is not None and place[lead.number] is None:
        bounds.append(after(rest, place))
    # Also by the column that is null here: else PostgreSQL does not see that the index has the order.
    named = [lead._replace(descending=False)] if lead.field in _INDEXED_WITH_ID else []
    return segment(bounds, [*named, *rest])


def segment(
    bounds: Sequence[LiteralString],
    keys: Sequence[Key],
    *,
    without_nulls: Key | None = None,
    of_mirror: Sequence[LiteralString] | None = None,
) -> Segment:
    """Make a segment of all conditions, in the order of the keys."""

    def direction(key: Key) -> LiteralString:
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


def _is(key: Key, value: LiteralString) -> LiteralString:
    wanted = value if LIST_SORTABLE[key.field].kind is Kind.FLAG else f"'{value}'"
    return f"{key.column} = {wanted}"


def after(
    keys: Sequence[Key], place: Sequence[str | None], *, without_nulls: Key | None = None
) -> LiteralString:
    """Select the rows after a place.

    They are equal on the first keys, and after it on the next one.
    """
    choices: list[LiteralString] = []
    equal: list[LiteralString] = []
    for key in keys:
        value = place[key.number]
        if value is not None:
            behind = _beyond(key, nulls=key.nullable and key != without_nulls)
            choices.append(f"({' AND '.join([*equal, behind])})")
            equal.append(f"{key.column} = {key.place}")
        else:
            equal.append(f"{key.column} IS NULL")
    return f"({' OR '.join(choices)})" if choices else "false"


def _beyond(key: Key, *, nulls: bool) -> LiteralString:
    beyond = f"{key.column} {'<' if key.descending else '>'} {key.place}"
    return f"({beyond} OR {key.column} IS NULL)" if nulls else beyond
