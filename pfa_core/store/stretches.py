"""Orders and cursors as SQL over a table called r: an order is cut into stretches that an index has.

No index has DESC NULLS LAST, none gives a range for "behind it, or null", and what has few values is
not worth an index: rows with a value, rows of each value, rows without one are each a stretch, asked
for one after the other until there are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import sql

from pfa_core.model.query import SortKey, complete_sort
from pfa_core.model.record import SORTABLE, Kind
from pfa_core.store.conditions import TRUE

# Fields whose index goes on with the PFA id: it has the order of the records without a value too.
_GOES_ON_BY_ID = ("forecastStart",)
# Fields without an index: a page in their order reads all records before it sorts a hundred.
_UNORDERED = ("originalEnd", "actualStart", "actualEnd")
_CASTS = {Kind.MONEY: sql.SQL("::numeric"), Kind.FLAG: sql.SQL("::boolean")}


class _Key(NamedTuple):
    """A sort key of the completed order, and its number in it."""

    number: int
    field: str
    descending: bool

    @property
    def column(self) -> sql.Composable:
        return sql.Identifier("r", SORTABLE[self.field].column)

    @property
    def alias(self) -> sql.Composable:
        return sql.Identifier(f"key_{self.number}")

    @property
    def place(self) -> sql.Composable:
        cast = _CASTS.get(SORTABLE[self.field].kind, sql.SQL("::text"))
        return sql.SQL("{}{}").format(sql.Placeholder(f"place_{self.number}"), cast)

    @property
    def nullable(self) -> bool:
        return self.field != "pfaId" and SORTABLE[self.field].kind is not Kind.FLAG

    @property
    def values(self) -> Sequence[str]:
        """All the values that the field can have, in order, as a cursor spells them; none: too many."""
        field = SORTABLE[self.field]
        texts = ["false", "true"] if field.kind is Kind.FLAG else sorted(field.choices)
        return texts[::-1] if self.descending else texts


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an order: its condition, and its rows' order by columns of r and by their aliases.

    `of_mirror` is the condition once more, for the mirror: where it can be one comparison of rows, a page
    behind a cursor is planned as fast as the first one. Of overlays the planner then expects so many that it
    would rather read all modifications there are.
    """

    condition: sql.Composable
    of_mirror: sql.Composable
    order: sql.Composable
    shown_order: sql.Composable


def order(keys: tuple[SortKey, ...]) -> sql.Composable:
    """ORDER BY over the aliases of the completed keys, nulls last either way."""
    directions = (
        sql.SQL("{} {}").format(
            key.alias, sql.SQL("DESC NULLS LAST" if key.descending else "ASC NULLS LAST")
        )
        for key in _completed(keys)
    )
    return sql.SQL(", ").join(directions)


def key_columns(keys: tuple[SortKey, ...]) -> sql.Composable:
    """The sort values as further columns key_0, key_1, …"""
    return sql.SQL("").join(
        sql.SQL(", {} AS {}").format(key.column, key.alias) for key in _completed(keys)
    )


def place_values(place: Sequence[str | None] | None) -> dict[str, Any]:
    """The parameters of a place in the order."""
    return {f"place_{number}": value for number, value in enumerate(place or ())}


def stretches(keys: tuple[SortKey, ...], place: Sequence[str | None] | None) -> list[Stretch]:
    """The order behind a place, in stretches that follow one another and together are all of it."""
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
    every = _completed(keys)
    bounds = [] if place is None else [_behind(every, place)]
    return _stretch(bounds, every)


def reads_a_page(keys: tuple[SortKey, ...]) -> bool:
    """Whether an index has the order, so that a page reads about as many rows as it shows."""
    return _completed(keys)[0].field not in _UNORDERED


def _completed(keys: tuple[SortKey, ...]) -> list[_Key]:
    return [
        _Key(number, key.field, key.descending) for number, key in enumerate(complete_sort(keys))
    ]


def _with_value(lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None) -> Stretch:
    bounds: list[sql.Composable] = []
    if lead.nullable:
        bounds.append(sql.SQL("{} IS NOT NULL").format(lead.column))
    if place is not None:
        sign = sql.SQL("<=" if lead.descending else ">=")
        bounds.append(sql.SQL("{} {} {}").format(lead.column, sign, lead.place))
        keys = [lead, *rest]
        in_row = [*bounds, _row_behind(keys)] if _as_one(lead, rest) else None
        bounds.append(_behind(keys, place, without_nulls=lead))
        return _stretch(bounds, keys, without_nulls=lead, of_mirror=in_row)
    return _stretch(bounds, [lead, *rest], without_nulls=lead)


def _as_one(lead: _Key, rest: Sequence[_Key]) -> bool:
    """Whether the keys can be compared as one row: none of the others is ever null, all go one way."""
    return all(not key.nullable and key.descending == lead.descending for key in rest)


def _row_behind(keys: Sequence[_Key]) -> sql.Composable:
    """The rows behind a place in one comparison, which an index of the keys has as a range of its own."""
    columns, places = (
        sql.SQL(", ").join(pieces)
        for pieces in ([key.column for key in keys], [key.place for key in keys])
    )
    sign = sql.SQL("<" if keys[0].descending else ">")
    return sql.SQL("({}) {} ({})").format(columns, sign, places)


def _by_value(
    lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None
) -> Iterator[Stretch]:
    values = lead.values
    if place is not None:  # what is no value of the field is the place behind all of them
        values = values[values.index(place[0]) :] if place[0] in values else ()
    for value in values:
        bounds: list[sql.Composable] = [_is(lead, value)]
        if place is not None and value == place[0] and rest:
            bounds.append(_behind(rest, place))
        elif place is not None and value == place[0]:
            continue
        yield _stretch(bounds, rest)


def _without_value(lead: _Key, rest: Sequence[_Key], place: Sequence[str | None] | None) -> Stretch:
    bounds: list[sql.Composable] = [sql.SQL("{} IS NULL").format(lead.column)]
    if place is not None and place[0] is None:
        bounds.append(_behind(rest, place))
    # By the column that is null all the same: only so PostgreSQL sees that the index has the order.
    named = [lead._replace(descending=False)] if lead.field in _GOES_ON_BY_ID else []
    return _stretch(bounds, [*named, *rest])


def _stretch(
    bounds: Sequence[sql.Composable],
    keys: Sequence[_Key],
    *,
    without_nulls: _Key | None = None,
    of_mirror: Sequence[sql.Composable] | None = None,
) -> Stretch:
    def by(column: sql.Composable, key: _Key) -> sql.Composable:
        has_value = key == without_nulls or not key.nullable
        down = sql.SQL("DESC") if has_value else sql.SQL("DESC NULLS LAST")
        return sql.SQL("{} {}").format(column, down if key.descending else sql.SQL("ASC"))

    def listed(columns: Iterator[sql.Composable]) -> sql.Composable:
        return sql.SQL(", ").join(columns)

    def all_of(conditions: Sequence[sql.Composable]) -> sql.Composable:
        return sql.SQL(" AND ").join(conditions) if conditions else TRUE

    return Stretch(
        all_of(bounds),
        all_of(bounds if of_mirror is None else of_mirror),
        listed(by(key.column, key) for key in keys),
        listed(by(key.alias, key) for key in keys),
    )


def _is(key: _Key, value: str) -> sql.Composable:
    wanted: Any = value == "true" if SORTABLE[key.field].kind is Kind.FLAG else value
    return sql.SQL("{} = {}").format(key.column, sql.Literal(wanted))


def _behind(
    keys: Sequence[_Key], place: Sequence[str | None], *, without_nulls: _Key | None = None
) -> sql.Composable:
    """The rows behind a place: equal on the first keys, behind it on the next one."""
    choices: list[sql.Composable] = []
    equal: list[sql.Composable] = []
    for key in keys:
        value = place[key.number]
        if value is not None:
            further = _further(key, nulls=key.nullable and key != without_nulls)
            choices.append(sql.SQL("({})").format(sql.SQL(" AND ").join([*equal, further])))
            equal.append(sql.SQL("{} = {}").format(key.column, key.place))
        else:
            equal.append(sql.SQL("{} IS NULL").format(key.column))
    if not choices:
        return sql.SQL("false")
    return sql.SQL("({})").format(sql.SQL(" OR ").join(choices))


def _further(key: _Key, *, nulls: bool) -> sql.Composable:
    sign = sql.SQL("<" if key.descending else ">")
    beyond = sql.SQL("{} {} {}").format(key.column, sign, key.place)
    return sql.SQL("({} OR {} IS NULL)").format(beyond, key.column) if nulls else beyond
