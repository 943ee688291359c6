"""Sums for KPIs by group: of the mirror, and of the caller's touched records before and after."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from psycopg import Connection
from psycopg import sql as compose

from pfa_core import sql
from pfa_core.model.kpi import GROUP_DIMENSIONS, Sums
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.store.conditions import TRUE, conditions, fits_rollup, touched_values

_SQL = {name: compose.SQL(text) for name, text in sql.statements("kpis").items()}
_FLAGS = ("isActualized", "isDiscontinued", "isFundsTransferable")
_ROLLUP_DIMENSIONS = ("category", "class", "source", "dor", "areaSilo", *_FLAGS)

Grouped = dict[tuple[Any, ...], Sums]


class Part(Enum):
    """Which records, with which values."""

    MIRROR = "all, as the mirror has them"
    TOUCHED_BEFORE = "those the caller touched, as the mirror has them"
    TOUCHED_AFTER = "those the caller touched, as the caller sees them"


def sums(
    conn: Connection[Any],
    principal: Principal,
    part: Part,
    filters: Filters,
    by: Sequence[str],
    *,
    narrowed: bool = False,
) -> Grouped:
    """The sums of the part's matching records by the dimensions' values, missing ones as ''.

    Args:
        narrowed: Also apply the filters on the caller's modifications (state, session).
    """
    where, values = conditions(filters)
    values.update(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        **touched_values(filters),
    )
    known = set(by) <= set(_ROLLUP_DIMENSIONS) and fits_rollup(filters)
    if part is Part.MIRROR and known:
        statement = _SQL["rollup"].format(**_common(by), conditions=where)
    else:
        statement = _live(part, where, by, narrowed=narrowed)
    width = len(by)
    rows = conn.execute(statement, values).fetchall()
    return {row[:width]: Sums(*row[width:]) for row in rows if row[width]}


def _live(
    part: Part, where: compose.Composable, by: Sequence[str], *, narrowed: bool
) -> compose.Composed:
    extra: list[compose.Composable] = [where]
    if part is Part.TOUCHED_AFTER:
        extra.append(_SQL["of_caller"])
    if narrowed:
        extra.append(_SQL["narrowing_before" if part is Part.TOUCHED_BEFORE else "narrowing_after"])
    return _SQL["live"].format(
        **_common(by),
        counts_p=_SQL["counts_p"],
        drafts=_SQL["count_drafts" if part is Part.TOUCHED_AFTER else "no_drafts"],
        tables=_SQL[part.name.lower()],
        conditions=compose.SQL("\n  AND ").join(extra) if extra else TRUE,
    )


def _common(by: Sequence[str]) -> dict[str, compose.Composable]:
    columns = [_group(name) for name in by]
    grouping: compose.Composable = compose.SQL("")
    if columns:
        numbers = compose.SQL(", ").join(
            compose.Literal(place) for place in range(1, len(columns) + 1)
        )
        grouping = compose.SQL("GROUP BY {}").format(numbers)
    return {
        "groups": compose.SQL("").join(compose.SQL("{}, ").format(column) for column in columns),
        "grouping": grouping,
        "counts_r": _SQL["counts_r"],
    }


def _group(name: str) -> compose.Composable:
    column = compose.Identifier("r", GROUP_DIMENSIONS[name])
    return column if name in _FLAGS else compose.SQL("coalesce({}, '')").format(column)
