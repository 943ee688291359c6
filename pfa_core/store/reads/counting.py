"""Counts of merged records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.store.reads import search
from pfa_core.store.reads.filters import (
    TRUE,
    conditions,
    fits_rollup,
    for_overlay,
    narrowing,
    touched_values,
)

_SQL = sql.statements("merged")


def count(
    conn: Connection[Any], principal: Principal, query: Query, *, found: list[str] | None = None
) -> int:
    """Count the records that match.

    Untouched ones are counted in the mirror, touched ones as the user sees them. The mirror's are
    counted in the rollup where it has all fields of the filters, else in the mirror itself.

    Args:
        found: Ids of the mirror that a search has found, among them all that match.
    """
    filters = query.filters
    where, values = conditions(filters)
    looked_at = filters.looked_at()
    values.update(own(principal), **touched_values(filters), looked_at=looked_at, found=found)
    counts: list[LiteralString] = []
    others = query.baseline or filters.wants_pristine()
    if others:
        if found is None:
            counts.append(_count_of_mirror(conn, filters, where))
        elif search.finds_matching(conn, filters):
            counts.append(_SQL["count_ids"])
        else:
            among = search.among_few(filters, where, found)
            counts.append(_SQL["count_mirror"].format(conditions=among))
    if not query.baseline:
        counts.extend(_counts_of_touched(filters, where, others=others))
    return _number(conn, "SELECT " + " + ".join(counts), values)


def _count_of_mirror(
    conn: Connection[Any], filters: Filters, where: LiteralString
) -> LiteralString:
    if fits_rollup(filters):
        return _SQL["count_rollup"].format(conditions=where)
    among = search.among_all(conn, filters, where)
    return search.count(conn, filters) or _SQL["count_mirror"].format(conditions=among)


def _counts_of_touched(
    filters: Filters, where: LiteralString, *, others: bool
) -> Iterator[LiteralString]:
    """Compose counts of touched records.

    With `others` they are first subtracted as in the mirror.
    """
    narrowed = narrowing(filters)
    differing: dict[LiteralString, LiteralString] = {"r": TRUE, "t": TRUE}
    if narrowed == TRUE:
        if others and not filters.looked_at():
            return
        if others:
            differing = {table: _SQL["drafted_field"].format(table=table) for table in differing}
    if others:
        yield _SQL["count_touched_before"].format(differing=differing["t"], conditions=where)
    yield _SQL["count_touched"].format(
        differing=differing["r"],
        conditions=for_overlay(filters, where),
        narrowing=narrowed,
    )


def _number(conn: Connection[Any], statement: LiteralString, values: dict[str, Any]) -> int:
    row = conn.execute(statement, values).fetchone()
    return row[0] if row else 0


def own(principal: Principal) -> dict[str, Any]:
    """Return whose records and modifications are meant, as statements name them."""
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
