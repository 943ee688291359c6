"""Filters as SQL over a table called r, composed from constants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, LiteralString

from pfa_core import sql
from pfa_core.model.modification import State
from pfa_core.model.query import EQUAL_FILTERS, Filters

if TYPE_CHECKING:
    from pfa_core.model.where.tree import Equality

_SQL = sql.statements("filters")
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
    "currency": "r.currency",
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
_MISSING: dict[str, LiteralString] = {
    "no_start": "r.forecast_start IS NULL",
    "no_end": "r.forecast_end IS NULL",
    "no_rate": "r.monthly_rate IS NULL",
    "no_price": "r.purchase_price IS NULL",
}
_ROLLUP_TEXTS = ("category", "class_", "source", "dor", "area_silo", "currency")
_ROLLUP_FILTERS = (*_ROLLUP_TEXTS, "actualized", "discontinued", "transferable")
_ROLLUP_FIELDS = (
    *(EQUAL_FILTERS[name] for name in _ROLLUP_TEXTS),
    *("isActualized", "isDiscontinued", "isFundsTransferable"),
)
_OF_CALLER = {"state", "session", "changed"}
_CONTAINS: LiteralString = "r.search_text LIKE pfa_fold_inline(%(search)s)"
# A LIKE that the trigram index does not serve would be planned with it all the same and read all of it.
_CONTAINS_FEW_LETTERS: LiteralString = "strpos(r.search_text, pfa_fold_inline(%(search)s)) > 0"
# Of LIKE the planner expects few records, whatever the text, and would fetch and sort all that there are.
_CONTAINS_IN_ORDER: LiteralString = "strpos(r.search_text, pfa_fold_inline(%(sought)s)) > 0"
# What it serves: three letters or digits in a row. ASCII only: a database with locale C, as the embedded server's,
# takes no others for letters.
_INDEXED = re.compile(r"[0-9A-Za-z]{3}")


def conditions(filters: Filters, *, overlay: bool = False) -> tuple[LiteralString, dict[str, Any]]:
    """Compose the filters on a record's values, and their parameters.

    Args:
        overlay: Over `pfa_overlay`, else over `pfa_mirror`: of an expression only, the rest is the same.
    """
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
    parts.extend(text for name, text in _MISSING.items() if getattr(filters, name))
    if filters.search:
        parts.append(containing(filters))
        indexed = is_indexed(filters)
        values["sought"] = filters.search
        values["search"] = f"%{escape_like(filters.search)}%" if indexed else filters.search
    if filters.where:
        from pfa_core.store.reads.where import composed

        of_expression, its_values = composed(filters, overlay=overlay)
        parts += of_expression
        values |= its_values
    return "\n  AND ".join(parts) if parts else TRUE, values


def for_overlay(filters: Filters, where: LiteralString) -> LiteralString:
    """Return conditions on the mirror as they are for overlays."""
    return conditions(filters, overlay=True)[0] if filters.where else where


def names_ids(filters: Filters) -> bool:
    """Return whether only records of given ids can match."""
    return bool(filters.id) or any(
        part is not None and part[0].name == "pfaId" for part in _equalities(filters)
    )


def is_indexed(filters: Filters) -> bool:
    """Return whether there is a search that the trigram index serves."""
    return bool(_INDEXED.search(filters.search or ""))


def containing(filters: Filters, *, in_order: bool = False) -> LiteralString:
    """Compose the condition that a record contains the text that is searched for.

    Args:
        in_order: Records are read in an order that an index has, not by the index of words.
    """
    if not is_indexed(filters):
        return _CONTAINS_FEW_LETTERS
    return _CONTAINS_IN_ORDER if in_order else _CONTAINS


def fits_rollup(filters: Filters) -> bool:
    """Return whether the rollup has the fields of all filters on a record's values.

    The rollup stores a missing text as an empty one; a filter distinguishes them, so one on the empty text
    does not fit.
    """
    known = {name.rstrip("_").replace("_", "-") for name in _ROLLUP_FILTERS}
    texts = [value for name in _ROLLUP_TEXTS for value in getattr(filters, name)]
    fit = set(filters.given()) <= known | _OF_CALLER | {"where"} and "" not in texts
    return fit and all(
        part is not None and part[0].name in _ROLLUP_FIELDS and "" not in part[1]
        for part in _equalities(filters)
    )


def takes_all(filters: Filters) -> bool:
    """Return whether there is no filter on a record's values."""
    return set(filters.given()) <= _OF_CALLER


def rollup_fields(filters: Filters) -> set[str]:
    """Return the fields that filters which fit the rollup look at."""
    given = set(filters.given())
    of_filters = {
        field
        for name, field in zip(_ROLLUP_FILTERS, _ROLLUP_FIELDS, strict=True)
        if name.rstrip("_").replace("_", "-") in given
    }
    return of_filters | {part[0].name for part in _equalities(filters) if part is not None}


def _equalities(filters: Filters) -> Iterable[Equality | None]:
    if not filters.where:
        return ()
    from pfa_core.store.reads.where import equalities  # loaded for an expression only

    return equalities(filters)


def narrowing(filters: Filters, table: LiteralString = "r") -> LiteralString:
    """Compose the filters on the caller's modifications, over an overlay of this name."""
    parts: list[LiteralString] = []
    if filters.state:
        parts.append("m.state = ANY(%(states)s)")
    if filters.session:
        parts.append("m.session_id = ANY(%(sessions)s)")
    return _SQL["topmost_among"].format(table=table, which=" AND ".join(parts)) if parts else TRUE


def are_drafts(table: LiteralString) -> LiteralString:
    """Compose that overlays are topped by drafts."""
    return _SQL["topmost_among"].format(table=table, which="m.state = 'draft'")


def touched_values(filters: Filters) -> dict[str, Any]:
    """Make the parameters of the filters on the caller's modifications."""
    states = [state for state in filters.state if state != State.PRISTINE]
    return {"states": states, "sessions": list(filters.session)}


def escape_like(text: str) -> str:
    """Escape what has a meaning in a pattern of LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
