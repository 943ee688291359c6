"""Sums for KPIs by group or month: of the mirror, of the caller's touched records before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from psycopg import Connection
from psycopg import sql as compose

from pfa_core import sql
from pfa_core.model.kpi import GROUP_DIMENSIONS, Sums
from pfa_core.model.months import Moves
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.store import finding
from pfa_core.store.conditions import conditions, fits_rollup, narrowing, touched_values

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
    where, values = _asked(principal, filters)
    known = set(by) <= set(_ROLLUP_DIMENSIONS) and fits_rollup(filters)
    if part is Part.MIRROR and known:
        statement = _SQL["rollup"].format(**_common(by), conditions=where)
    else:
        where = _found(conn, part, filters, where)
        statement = _live(part, _matching(part, where, filters if narrowed else None), by)
    width = len(by)
    rows = conn.execute(statement, values).fetchall()
    return {row[:width]: Sums(*row[width:]) for row in rows if row[width]}


def moves(
    conn: Connection[Any],
    principal: Principal,
    part: Part,
    filters: Filters,
    by: Sequence[str],
    *,
    narrowed: bool = False,
) -> dict[tuple[Any, ...], Moves]:
    """What begins and ends in each month, of the part's matching records that count for costs.

    Args:
        narrowed: As for `sums`.

    Returns:
        By the dimensions' values, missing ones as '', then phase and month (`YYYY-MM` or None).
    """
    where, values = _asked(principal, filters)
    where = _found(conn, part, filters, where)
    matching = _matching(part, where, filters if narrowed else None)
    rows = conn.execute(_months(part, matching, by), values).fetchall()
    width = len(by) + 2
    return {row[:width]: Moves(*row[width:]) for row in rows}


def _asked(principal: Principal, filters: Filters) -> tuple[compose.Composable, dict[str, Any]]:
    where, values = conditions(filters)
    values.update(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        **touched_values(filters),
    )
    return where, values


def _found(
    conn: Connection[Any], part: Part, filters: Filters, where: compose.Composable
) -> compose.Composable:
    return finding.among_all(conn, filters, where) if part is Part.MIRROR else where


def _live(part: Part, matching: compose.Composable, by: Sequence[str]) -> compose.Composed:
    return _SQL["live"].format(
        **_common(by),
        counts_p=_SQL["counts_p"],
        drafts=_SQL["count_drafts" if part is Part.TOUCHED_AFTER else "no_drafts"],
        tables=_SQL[part.name.lower()],
        conditions=matching,
    )


def _months(part: Part, matching: compose.Composable, by: Sequence[str]) -> compose.Composed:
    names = [f"group_{number}" for number in range(len(by))]
    inner = (
        compose.SQL("{} AS {}").format(_group(dimension), compose.Identifier(name))
        for dimension, name in zip(by, names, strict=True)
    )
    return _SQL["months"].format(
        month_groups=_listed(compose.Identifier("d", name) for name in names),
        day_groups=_listed(inner),
        rate=_of_phase("monthly_rate"),
        price=_of_phase("purchase_price"),
        source=_of_phase("source"),
        tables=_SQL[part.name.lower()],
        conditions=matching,
        counts_p=_SQL["counts_p"],
        counts_r=_SQL["counts_r"],
        by_day=_first(len(by) + 3),
        by_month=_first(len(by) + 2),
    )


def _of_phase(column: str) -> compose.Composed:
    return _SQL["of_phase"].format(column=compose.Identifier(column))


def _matching(part: Part, where: compose.Composable, filters: Filters | None) -> compose.Composable:
    """The conditions on a part; those of `filters` on the caller's modifications too, where given."""
    every: list[compose.Composable] = [where]
    if part is Part.TOUCHED_AFTER:
        every.append(_SQL["of_caller"])
    if filters:
        every.append(narrowing(filters))
    return compose.SQL("\n  AND ").join(every)


def _common(by: Sequence[str]) -> dict[str, compose.Composable]:
    grouping = compose.SQL("GROUP BY {}").format(_first(len(by))) if by else compose.SQL("")
    return {
        "groups": _listed(_group(name) for name in by),
        "grouping": grouping,
        "counts_r": _SQL["counts_r"],
    }


def _listed(columns: Iterable[compose.Composable]) -> compose.Composed:
    return compose.SQL("").join(compose.SQL("{}, ").format(column) for column in columns)


def _first(width: int) -> compose.Composed:
    """The first columns, by their numbers."""
    return compose.SQL(", ").join(compose.Literal(place) for place in range(1, width + 1))


def _group(name: str) -> compose.Composable:
    column = compose.Identifier("r", GROUP_DIMENSIONS[name])
    return column if name in _FLAGS else compose.SQL("coalesce({}, '')").format(column)
