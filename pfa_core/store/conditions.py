"""Filters, orders and cursors as SQL over a table called r: composed from constants, values apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from pfa_core.model.query import EQUAL_FILTERS, Filters, SortKey, complete_sort
from pfa_core.model.record import SORTABLE, Kind

TRUE = sql.SQL("true")
# Fields whose index goes on with the PFA id: it has the order of the records without a value too.
_GOES_ON_BY_ID = ("forecastStart",)

_EQUAL: dict[str, LiteralString] = {
    "category": "r.category = ANY(%(category)s)",
    "class_": "r.class = ANY(%(class_)s)",
    "source": "r.source = ANY(%(source)s)",
    "dor": "r.dor = ANY(%(dor)s)",
    "area_silo": "r.area_silo = ANY(%(area_silo)s)",
    "manufacturer": "r.manufacturer = ANY(%(manufacturer)s)",
    "model": "r.model = ANY(%(model)s)",
    "contract": "r.contract = ANY(%(contract)s)",
    "id": "r.pfa_id = ANY(%(id)s)",
}
_EQUAL_ONE: dict[str, LiteralString] = {
    "category": "r.category = %(category)s",
    "class_": "r.class = %(class_)s",
    "source": "r.source = %(source)s",
    "dor": "r.dor = %(dor)s",
    "area_silo": "r.area_silo = %(area_silo)s",
    "manufacturer": "r.manufacturer = %(manufacturer)s",
    "model": "r.model = %(model)s",
    "contract": "r.contract = %(contract)s",
    "id": "r.pfa_id = %(id)s",
}
_SINGLE: dict[str, LiteralString] = {
    "start_from": "r.forecast_start >= %(start_from)s",
    "start_to": "r.forecast_start <= %(start_to)s",
    "end_from": "r.forecast_end >= %(end_from)s",
    "end_to": "r.forecast_end <= %(end_to)s",
    "actualized": "r.is_actualized = %(actualized)s",
    "discontinued": "r.is_discontinued = %(discontinued)s",
    "transferable": "r.is_funds_transferable = %(transferable)s",
}
_ROLLUP_TEXTS = ("category", "class_", "source", "dor", "area_silo")
_ROLLUP_FILTERS = (*_ROLLUP_TEXTS, "actualized", "discontinued", "transferable")
_ABOUT_ME = {"state", "session", "changed"}
_SEARCH: LiteralString = "r.search_text LIKE pfa_fold(%(search)s)"


def conditions(filters: Filters) -> tuple[sql.Composable, dict[str, Any]]:
    """The filters on a record's values, and the parameters they need."""
    parts: list[sql.Composable] = []
    values: dict[str, Any] = {}
    for name in EQUAL_FILTERS:
        wanted = getattr(filters, name)
        if len(wanted) == 1:  # equality keeps the order of the index behind it, an array does not
            parts.append(sql.SQL(_EQUAL_ONE[name]))
            values[name] = wanted[0]
        elif wanted:
            parts.append(sql.SQL(_EQUAL[name]))
            values[name] = list(wanted)
    for name, text in _SINGLE.items():
        wanted = getattr(filters, name)
        if wanted is not None:
            parts.append(sql.SQL(text))
            values[name] = wanted
    if filters.search:
        parts.append(sql.SQL(_SEARCH))
        values["search"] = f"%{_escape_like(filters.search)}%"
    return sql.SQL("\n  AND ").join(parts) if parts else TRUE, values


def fits_rollup(filters: Filters) -> bool:
    """Whether the rollup knows every filter on a record's values. A text that is empty and one that is
    null are one value there and two to a filter: asked for the empty one, the records answer."""
    known = {name.rstrip("_").replace("_", "-") for name in _ROLLUP_FILTERS}
    texts = [value for name in _ROLLUP_TEXTS for value in getattr(filters, name)]
    return set(filters.given()) <= known | _ABOUT_ME and "" not in texts


def touched_values(filters: Filters) -> dict[str, Any]:
    """The parameters of the filters on the caller's modifications."""
    states = [state for state in filters.state if state != "pristine"]
    return {
        "states": states if filters.state else None,
        "sessions": list(filters.session) or None,
    }


def order(keys: tuple[SortKey, ...]) -> sql.Composable:
    """ORDER BY over the aliases of the completed keys, nulls last either way."""
    parts: list[sql.Composable] = []
    for number, key in enumerate(complete_sort(keys)):
        direction = sql.SQL("DESC NULLS LAST" if key.descending else "ASC NULLS LAST")
        parts.append(sql.SQL("{} {}").format(sql.Identifier(f"key_{number}"), direction))
    return sql.SQL(", ").join(parts)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an order that an index can deliver: a condition, and ORDER BY in the index's terms."""

    condition: sql.Composable
    order: sql.Composable


def stretches(keys: tuple[SortKey, ...], place: list[str | None] | None) -> list[Stretch]:
    """The order behind a place, cut in two: rows that have the leading value, then those without.

    No index has DESC NULLS LAST, and none gives a range for "behind it, or null": each stretch by
    itself is a plain range of one.
    """
    lead, *rest = complete_sort(keys)
    column = _column(lead)
    found: list[Stretch] = []
    if place is None or place[0] is not None:
        bounds: list[sql.Composable] = []
        if _nullable(lead):
            bounds.append(sql.SQL("{} IS NOT NULL").format(column))
        if place is not None:
            sign = sql.SQL("<=" if lead.descending else ">=")
            bounds.append(sql.SQL("{} {} {}").format(column, sign, _place(lead, 0)))
        found.append(
            Stretch(
                sql.SQL(" AND ").join(bounds) if bounds else TRUE,
                _by([lead, *rest], without_nulls=lead),
            )
        )
    if _nullable(lead):
        # By the column that is null all the same: only so PostgreSQL sees that the index has the order.
        named = [SortKey(lead.field)] if lead.field in _GOES_ON_BY_ID else []
        found.append(Stretch(sql.SQL("{} IS NULL").format(column), _by([*named, *rest])))
    return found


def _by(keys: Sequence[SortKey], *, without_nulls: SortKey | None = None) -> sql.Composable:
    parts: list[sql.Composable] = []
    for key in keys:
        plain = key is without_nulls or not _nullable(key)
        down = sql.SQL("DESC") if plain else sql.SQL("DESC NULLS LAST")
        parts.append(
            sql.SQL("{} {}").format(_column(key), down if key.descending else sql.SQL("ASC"))
        )
    return sql.SQL(", ").join(parts)


def _nullable(key: SortKey) -> bool:
    return key.field != "pfaId" and SORTABLE[key.field].kind is not Kind.FLAG


def key_columns(keys: tuple[SortKey, ...]) -> sql.Composable:
    """The sort values as further columns key_0, key_1, …"""
    return sql.SQL("").join(
        sql.SQL(", {} AS {}").format(_column(key), sql.Identifier(f"key_{number}"))
        for number, key in enumerate(complete_sort(keys))
    )


def after(
    keys: tuple[SortKey, ...], place: list[str | None] | None
) -> tuple[sql.Composable, dict[str, Any]]:
    """The rows behind a place in the order: equal on the first keys, behind it on the next one."""
    if place is None:
        return TRUE, {}
    choices: list[sql.Composable] = []
    equal: list[sql.Composable] = []
    for number, (key, value) in enumerate(zip(complete_sort(keys), place, strict=True)):
        behind = _behind(key, value, number)
        if behind is not None:
            choices.append(sql.SQL("({})").format(sql.SQL(" AND ").join([*equal, behind])))
        equal.append(_equal(key, value, number))
    values = {f"place_{number}": value for number, value in enumerate(place)}
    return sql.SQL("({})").format(sql.SQL(" OR ").join(choices)) if choices else sql.SQL(
        "false"
    ), values


def _behind(key: SortKey, value: str | None, number: int) -> sql.Composable | None:
    if value is None:
        return None
    sign = sql.SQL("<" if key.descending else ">")
    column = _column(key)
    return sql.SQL("({} {} {} OR {} IS NULL)").format(column, sign, _place(key, number), column)


def _equal(key: SortKey, value: str | None, number: int) -> sql.Composable:
    if value is None:
        return sql.SQL("{} IS NULL").format(_column(key))
    return sql.SQL("{} = {}").format(_column(key), _place(key, number))


def _place(key: SortKey, number: int) -> sql.Composable:
    kind = SORTABLE[key.field].kind
    cast = {Kind.MONEY: sql.SQL("::numeric"), Kind.FLAG: sql.SQL("::boolean")}.get(
        kind, sql.SQL("::text")
    )
    return sql.SQL("{}{}").format(sql.Placeholder(f"place_{number}"), cast)


def _column(key: SortKey) -> sql.Composable:
    return sql.Identifier("r", SORTABLE[key.field].column)


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
