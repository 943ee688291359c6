"""Sums for KPIs by group or month.

They are of the mirror or of the caller's touched records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.kpi import GROUP_DIMENSIONS, Sums
from pfa_core.model.months import Moves
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.store.reads import search
from pfa_core.store.reads.filters import conditions, fits_rollup, narrowing, touched_values

_SQL = sql.statements("sums")
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
    """Sum the part's matching records by the dimensions' values, missing ones as ''.

    Args:
        narrowed: Also apply the filters on the caller's modifications (state, session).
    """
    where, values = _asked(principal, filters)
    in_rollup = set(by) <= set(_ROLLUP_DIMENSIONS) and fits_rollup(filters)
    if part is Part.MIRROR and in_rollup:
        statement = _SQL["rollup"].format(**_common(by), conditions=where)
    else:
        where = _found(conn, part, filters, where)
        matching = _matching(part, where, filters if narrowed else None)
        statement = _live(part, _tables(part, narrowed=narrowed), matching, by)
    width = len(by)
    rows = conn.execute(statement, values).fetchall()
    return {row[:width]: Sums._make(row[width:]) for row in rows if row[width]}


def moves(
    conn: Connection[Any],
    principal: Principal,
    part: Part,
    filters: Filters,
    by: Sequence[str],
    *,
    narrowed: bool = False,
) -> dict[tuple[Any, ...], Moves]:
    """Sum what begins and ends in each month.

    The records are those of the part that count for costs.

    Args:
        narrowed: As for `sums`.

    Returns:
        By the dimensions' values, missing ones as '', then phase and month (`YYYY-MM` or None).
    """
    where, values = _asked(principal, filters)
    where = _found(conn, part, filters, where)
    matching = _matching(part, where, filters if narrowed else None)
    statement = _months(_tables(part, narrowed=narrowed), matching, by)
    rows = conn.execute(statement, values).fetchall()
    width = len(by) + 2
    return {row[:width]: Moves(*row[width:]) for row in rows}


def _asked(principal: Principal, filters: Filters) -> tuple[LiteralString, dict[str, Any]]:
    where, values = conditions(filters)
    values.update(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        **touched_values(filters),
    )
    return where, values


def _found(
    conn: Connection[Any], part: Part, filters: Filters, where: LiteralString
) -> LiteralString:
    return search.among_all(conn, filters, where) if part is Part.MIRROR else where


def _tables(part: Part, *, narrowed: bool) -> LiteralString:
    topmost = _SQL["topmost_before"] if narrowed else ""
    tables = _SQL[part.name.lower()]
    return tables.format(topmost=topmost) if part is Part.TOUCHED_BEFORE else tables


def _live(
    part: Part, tables: LiteralString, matching: LiteralString, by: Sequence[str]
) -> LiteralString:
    return _SQL["live"].format(
        **_common(by),
        counts_p=_SQL["counts_p"],
        drafts=_SQL["count_drafts" if part is Part.TOUCHED_AFTER else "no_drafts"],
        tables=tables,
        conditions=matching,
    )


def _months(tables: LiteralString, matching: LiteralString, by: Sequence[str]) -> LiteralString:
    names: list[LiteralString] = [f"group_{GROUP_DIMENSIONS[dimension]}" for dimension in by]
    inner: list[LiteralString] = [
        f"{_group(dimension)} AS {name}" for dimension, name in zip(by, names, strict=True)
    ]
    return _SQL["months"].format(
        month_groups=_listed(["d." + name for name in names]),
        day_groups=_listed(inner),
        rate=_of_phase("monthly_rate"),
        price=_of_phase("purchase_price"),
        source=_of_phase("source"),
        tables=tables,
        conditions=matching,
        counts_p=_SQL["counts_p"],
        counts_r=_SQL["counts_r"],
        by_day=_first(len(by) + 3),
        by_month=_first(len(by) + 2),
    )


def _of_phase(column: LiteralString) -> LiteralString:
    return _SQL["of_phase"].format(column=column)


def _matching(part: Part, where: LiteralString, filters: Filters | None) -> LiteralString:
    """Compose the conditions on a part.

    With `filters` they include those on the caller's modifications.
    """
    every: list[LiteralString] = [where]
    if part is Part.TOUCHED_AFTER:
        every.append(_SQL["of_caller"])
    if filters:
        every.append(narrowing(filters))
    return "\n  AND ".join(every)


def _common(by: Sequence[str]) -> dict[str, LiteralString]:
    grouping = f"GROUP BY {_first(len(by))}" if by else ""
    return {
        "groups": _listed(_group(name) for name in by),
        "grouping": grouping,
        "counts_r": _SQL["counts_r"],
    }


def _listed(columns: Iterable[LiteralString]) -> LiteralString:
    return "".join(f"{column}, " for column in columns)


def _first(width: int) -> LiteralString:
    """List the first columns by their numbers."""
    return ", ".join(sql.numeral(place) for place in range(1, width + 1))


def _group(name: str) -> LiteralString:
    column = f"r.{GROUP_DIMENSIONS[name]}"
    return column if name in _FLAGS else f"coalesce({column}, '')"
