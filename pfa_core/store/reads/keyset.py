"""Orders and cursors as SQL over a table called r: an order is cut into stretches that an index has.

No index has DESC NULLS LAST, none gives a range for "behind it, or null", and what has few values is
not worth an index: rows with a value, rows of each value, rows without one are each a stretch, asked
for one after the other until there are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple

from pfa_core.model.query import SortKey, complete_sort
from pfa_core.model.record import SORTABLE, Kind
from pfa_core.sql import numeral
from pfa_core.store.reads.filters import TRUE

# Fields whose index goes on with the PFA id: it has the order of the records without a value too.
_GOES_ON_BY_ID = ("forecastStart",)
# Fields without an index: a page in their order reads all records before it sorts a hundred.
_UNORDERED = ("originalEnd", "actualStart", "actualEnd")
_CASTS: dict[Kind, LiteralString] = {Kind.MONEY: "::numeric", Kind.FLAG: "::boolean"}
# So many orders are kept as text: to put one together again for each page takes as long as to read a record.
_ORDERS = 100


class _Key(NamedTuple):
    """A sort key of the completed order, and its number in it."""

    number: int
    field: str
    descending: bool

    @property
    def column(self) -> LiteralString:
        return f"r.{SORTABLE[self.field].column}"

    @property
    def alias(self) -> LiteralString:
        return f"key_{numeral(self.number)}"

    @property
    def place(self) -> LiteralString:
        cast = _CASTS.get(SORTABLE[self.field].kind, "::text")
        return f"%(place_{numeral(self.number)})s{cast}"

    @property
    def nullable(self) -> bool:
        return self.field != "pfaId" and SORTABLE[self.field].kind is not Kind.FLAG

    @property
    def values(self) -> Sequence[LiteralString]:
        """All the values that the field can have, in order, as a cursor spells them; none: too many."""
        field = SORTABLE[self.field]
        texts: list[LiteralString] = (
            ["false", "true"] if field.kind is Kind.FLAG else sorted(field.choices)
        )
        return texts[::-1] if self.descending else texts


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an order: its condition, and its rows' order by columns of r and by their aliases.

    `of_mirror` is the condition once more, for the mirror: where it can be one comparison of rows, a page
    behind a cursor is planned as fast as the first one. Of overlays the planner then expects so many that it
    would rather read all modifications there are.
    """

    condition: LiteralString
    of_mirror: LiteralString
    order: LiteralString
    shown_order: LiteralString


@lru_cache(_ORDERS)
def order(keys: tuple[SortKey, ...]) -> LiteralString:
    """ORDER BY over the aliases of the completed keys, nulls last either way."""
    return ", ".join(
        f"{key.alias} {'DESC NULLS LAST' if key.descending else 'ASC NULLS LAST'}"
        for key in _completed(keys)
    )


@lru_cache(_ORDERS)
def key_columns(keys: tuple[SortKey, ...]) -> LiteralString:
    """The sort values as further columns key_0, key_1, …"""
    return "".join(f", {key.column} AS {key.alias}" for key in _completed(keys))


def place_values(place: Sequence[str | None] | None) -> dict[str, Any]:
    """The parameters of a place in the order."""
    return {f"place_{number}": value for number, value in enumerate(place or ())}


def stretches(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Sequence[Stretch]:
    """The order behind a place, in stretches that follow one another and together are all of it."""
    return _from_the_start(keys) if place is None else _stretches(keys, place)


@lru_cache(_ORDERS)
def _from_the_start(keys: tuple[SortKey, ...]) -> Sequence[Stretch]:
    return _stretches(keys, None)


def _stretches(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Sequence[Stretch]:
    lead, *rest = _completed(keys)
    found: list[Stretch] = []
    if lead.values:
        found.extend(_by_value(lead, rest, place))
    elif place is None or place[0] is not None:
        found.append(_with_value(lead, rest, place))
    if lead.nullable:
        found.append(_without_value(lead, rest, place))
    return found


def unbroken(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> Stretch:
    """The order behind a place in one stretch, which no index has: for few rows, sorted when found."""
    if place is None:
        return _whole(keys)
    every = _completed(keys)
    return _stretch([_behind(every, place)], every)


@lru_cache(_ORDERS)
def _whole(keys: tuple[SortKey, ...]) -> Stretch:
    return _stretch([], _completed(keys))


def reads_a_page(keys: tuple[SortKey, ...]) -> bool:
    """Whether an index has the order, so that a page reads about as many rows as it shows."""
    return _completed(keys)[0].field not in _UNORDERED


@lru_cache(_ORDERS)
def _completed(keys: tuple[SortKey, ...]) -> tuple[_Key, ...]:
    return tuple(
        _Key(number, key.field, key.descending) for number, key in enumerate(complete_sort(keys))
    )


def _with_value(lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None) -> Stretch:
    bounds: list[LiteralString] = []
    if lead.nullable:
        bounds.append(f"{lead.column} IS NOT NULL")
    if place is not None:
        bounds.append(f"{lead.column} {'<=' if lead.descending else '>='} {lead.place}")
        keys = [lead, *rest]
        in_row: list[LiteralString] | None = None
        if _as_one(lead, rest):
            in_row = [*bounds, _row_behind(keys)]
        bounds.append(_behind(keys, place, without_nulls=lead))
        return _stretch(bounds, keys, without_nulls=lead, of_mirror=in_row)
    return _stretch(bounds, [lead, *rest], without_nulls=lead)


def _as_one(lead: _Key, rest: Sequence[_Key]) -> bool:
    """Whether the keys can be compared as one row: none of the others is ever null, all go one way."""
    return all(not key.nullable and key.descending == lead.descending for key in rest)


def _row_behind(keys: Sequence[_Key]) -> LiteralString:
    """The rows behind a place in one comparison, which an index of the keys has as a range of its own."""
    columns = ", ".join(key.column for key in keys)
    places = ", ".join(key.place for key in keys)
    return f"({columns}) {'<' if keys[0].descending else '>'} ({places})"


def _by_value(
    lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None
) -> Iterator[Stretch]:
    values = lead.values
    if place is not None:  # what is no value of the field is the place behind all of them
        values = values[values.index(place[0]) :] if place[0] in values else ()
    for value in values:
        bounds: list[LiteralString] = [_is(lead, value)]
        if place is not None and value == place[0] and rest:
            bounds.append(_behind(rest, place))
        elif place is not None and value == place[0]:
            continue
        yield _stretch(bounds, rest)


def _without_value(lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None) -> Stretch:
    bounds: list[LiteralString] = [f"{lead.column} IS NULL"]
    if place is not None and place[0] is None:
        bounds.append(_behind(rest, place))
    # By the column that is null all the same: only so PostgreSQL sees that the index has the order.
    named = [lead._replace(descending=False)] if lead.field in _GOES_ON_BY_ID else []
    return _stretch(bounds, [*named, *rest])


def _stretch(
    bounds: Sequence[LiteralString],
    keys: Sequence[_Key],
    *,
    without_nulls: _Key | None = None,
    of_mirror: Sequence[LiteralString] | None = None,
) -> Stretch:
    def direction(key: _Key) -> LiteralString:
        has_value = key == without_nulls or not key.nullable
        down = "DESC" if has_value else "DESC NULLS LAST"
        return down if key.descending else "ASC"

    def all_of(conditions: Sequence[LiteralString]) -> LiteralString:
        return " AND ".join(conditions) if conditions else TRUE

    return Stretch(
        all_of(bounds),
        all_of(bounds if of_mirror is None else of_mirror),
        ", ".join(f"{key.column} {direction(key)}" for key in keys),
        ", ".join(f"{key.alias} {direction(key)}" for key in keys),
    )


def _is(key: _Key, value: LiteralString) -> LiteralString:
    wanted = value if SORTABLE[key.field].kind is Kind.FLAG else f"'{value}'"
    return f"{key.column} = {wanted}"


def _behind(
    keys: Sequence[_Key], place: Sequence[str | None], *, without_nulls: _Key | None = None
) -> LiteralString:
    """The rows behind a place: equal on the first keys, behind it on the next one."""
    choices: list[LiteralString] = []
    equal: list[LiteralString] = []
    for key in keys:
        value = place[key.number]
        if value is not None:
            further = _further(key, nulls=key.nullable and key != without_nulls)
            choices.append(f"({' AND '.join([*equal, further])})")
            equal.append(f"{key.column} = {key.place}")
        else:
            equal.append(f"{key.column} IS NULL")
    return f"({' OR '.join(choices)})" if choices else "false"


def _further(key: _Key, *, nulls: bool) -> LiteralString:
    beyond = f"{key.column} {'<' if key.descending else '>'} {key.place}"
    return f"({beyond} OR {key.column} IS NULL)" if nulls else beyond
