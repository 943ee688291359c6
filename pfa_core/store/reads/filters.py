"""Filters as SQL over a table called r: composed from constants, values apart."""

from __future__ import annotations

import re
from typing import Any, LiteralString

from pfa_core.model.modification import State
from pfa_core.model.query import Filters

TRUE: LiteralString = "true"
# The columns of the filters that take several values.
_COLUMNS: dict[LiteralString, LiteralString] = {
    "category": "r.category",
    "class_": "r.class",
    "source": "r.source",
    "dor": "r.dor",
    "area_silo": "r.area_silo",
    "manufacturer": "r.manufacturer",
    "model": "r.model",
    "contract": "r.contract",
    "id": "r.pfa_id",
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
_CONTAINS: LiteralString = "r.search_text LIKE pfa_fold_inline(%(search)s)"
# What the index of words cannot be asked for, it must not be asked: it would read all of itself first.
_CONTAINS_FEW_LETTERS: LiteralString = "strpos(r.search_text, pfa_fold_inline(%(search)s)) > 0"
# What it can be asked for: three letters or digits in a row, and of ASCII alone wherever the database's own locale
# knows no others, as that of the embedded server does.
_INDEXED = re.compile(r"[0-9A-Za-z]{3}")


def conditions(filters: Filters) -> tuple[LiteralString, dict[str, Any]]:
    """The filters on a record's values, and the parameters they need."""
    parts: list[LiteralString] = []
    values: dict[str, Any] = {}
    for name, column in _COLUMNS.items():
        wanted = getattr(filters, name)
        if len(wanted) == 1:  # an index keeps its order behind an equality, not behind an array
            parts.append(f"{column} = %({name})s")
            values[name] = wanted[0]
        elif wanted:
            parts.append(f"{column} = ANY(%({name})s)")
            values[name] = list(wanted)
    for name, text in _SINGLE.items():
        wanted = getattr(filters, name)
        if wanted is not None:
            parts.append(text)
            values[name] = wanted
    if filters.search:
        parts.append(containing(filters))
        indexed = is_indexed(filters)
        values["search"] = f"%{_escape_like(filters.search)}%" if indexed else filters.search
    return "\n  AND ".join(parts) if parts else TRUE, values


def is_indexed(filters: Filters) -> bool:
    """Whether there is a search, and the index of words can be asked for it."""
    return bool(_INDEXED.search(filters.search or ""))


def containing(filters: Filters) -> LiteralString:
    """The condition that a record holds the text that is searched for."""
    return _CONTAINS if is_indexed(filters) else _CONTAINS_FEW_LETTERS


def fits_rollup(filters: Filters) -> bool:
    """Whether the rollup knows every filter on a record's values. A text that is empty and one that is
    null are one value there and two to a filter: asked for the empty one, the records answer."""
    known = {name.rstrip("_").replace("_", "-") for name in _ROLLUP_FILTERS}
    texts = [value for name in _ROLLUP_TEXTS for value in getattr(filters, name)]
    return set(filters.given()) <= known | _ABOUT_ME and "" not in texts


def narrowing(filters: Filters) -> LiteralString:
    """The filters on the caller's modifications, over a table called m."""
    parts: list[LiteralString] = []
    if filters.state:
        parts.append("m.state = ANY(%(states)s)")
    if filters.session:
        parts.append("m.session_id = ANY(%(sessions)s)")
    return " AND ".join(parts) if parts else TRUE


def touched_values(filters: Filters) -> dict[str, Any]:
    """The parameters of the filters on the caller's modifications."""
    states = [state for state in filters.state if state != State.PRISTINE]
    return {"states": states, "sessions": list(filters.session)}


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
