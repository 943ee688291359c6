"""Merged records: pages, streams, counts and single records in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg import sql as compose
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.model.principal import Principal
from pfa_core.model.query import Query, decode_cursor, encode_cursor
from pfa_core.model.record import SORTABLE
from pfa_core.store.conditions import (
    TRUE,
    after,
    conditions,
    fits_rollup,
    key_columns,
    order,
    stretches,
    touched_values,
)

_SQL = {name: compose.SQL(text) for name, text in sql.statements("records").items()}
_FIXED = 6  # columns of a row before its sort keys
STREAM_BATCH = 1000

RowValues = tuple[str, str, str, str | None, int, datetime | None]


@dataclass(frozen=True, slots=True)
class DetailRow:
    """A record with its baseline beside the merged view."""

    pfa_id: str
    baseline: dict[str, Any]
    merged: dict[str, Any]
    mine: dict[str, Any]
    mirror_version: int
    mirror_updated_at: datetime
    missing_since: datetime | None
    sync_state: str


def page(
    conn: Connection[Any], principal: Principal, query: Query, *, limit: int, offset: int = 0
) -> tuple[list[RowValues], str | None]:
    """One page in order, and the cursor behind its last row, None when nothing follows it."""
    statement, values = _rows_statement(principal, query, limit + 1, offset)
    rows = conn.execute(statement, values).fetchall()
    cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        cursor = encode_cursor(query.sort, [_as_text(value) for value in rows[-1][_FIXED:]])
    return [row[:_FIXED] for row in rows], cursor


def stream(
    conn: Connection[Any], principal: Principal, query: Query, *, limit: int | None
) -> Iterator[RowValues]:
    """Every row in order, through a server-side cursor: constant memory whatever their number."""
    statement, values = _rows_statement(principal, query, limit, 0)
    with conn.cursor(name="pfa_stream") as cursor:
        cursor.itersize = STREAM_BATCH
        cursor.execute(statement, values)
        for row in cursor:
            yield row[:_FIXED]


def elements(
    conn: Connection[Any], principal: Principal, query: Query, *, limit: int | None
) -> Iterator[bytes]:
    """Every row in order as a line of JSON, made by the server: COPY streams it, nobody parses it."""
    rows, values = _rows_statement(principal, query, limit, 0)
    statement = _SQL["copy_out"].format(elements=_SQL["elements"].format(rows=rows))
    with conn.cursor() as cursor, cursor.copy(statement, values) as copy:
        for line in copy:
            # JSON holds no raw control characters: backslashes are all that COPY has escaped.
            yield bytes(line).replace(b"\\\\", b"\\")


def count(conn: Connection[Any], principal: Principal, query: Query) -> int:
    """How many records match: the mirror's, without those touched, and the touched as they are seen.

    The mirror's come from the rollup where it knows the filters, else from the mirror itself.
    """
    where, values = conditions(query.filters)
    values.update(_own(principal), **touched_values(query.filters))
    parts = {"conditions": where, "narrowing": _SQL["narrowing"]}

    def counted(name: str) -> int:
        return _value(conn, _SQL[name].format(**parts), values)

    total = 0
    if query.baseline or query.filters.wants_pristine():
        total += counted("count_rollup" if fits_rollup(query.filters) else "count_mirror")
    if query.baseline:
        return total
    if query.filters.wants_pristine():
        total -= counted("count_touched_before")
    return total + counted("count_touched")


def details(
    conn: Connection[Any], principal: Principal, ids: Sequence[str]
) -> dict[str, DetailRow]:
    """The records in full by id; absent where unknown."""
    with conn.cursor(row_factory=class_row(DetailRow)) as cursor:
        values = {**_own(principal), "ids": list(ids)}
        return {row.pfa_id: row for row in cursor.execute(_SQL["detail"], values)}


def has_value(conn: Connection[Any], principal: Principal, field: str, value: str) -> bool:
    """Whether any record has the value, in the mirror or as the principal sees it."""
    column = compose.Identifier("r", SORTABLE[field].column)
    statement = _SQL["has_value"].format(column=column)
    row = conn.execute(statement, {**_own(principal), "value": value}).fetchone()
    return bool(row and row[0])


def known_values(conn: Connection[Any], organization_id: str, field: str) -> list[str]:
    """Distinct values of a field in the mirror, at most 5,000."""
    column = compose.Identifier("r", SORTABLE[field].column)
    statement = _SQL["values"].format(column=column)
    return [row[0] for row in conn.execute(statement, {"organization_id": organization_id})]


def _rows_statement(
    principal: Principal, query: Query, limit: int | None, offset: int
) -> tuple[compose.Composed, dict[str, Any]]:
    where, values = conditions(query.filters)
    place = decode_cursor(query.sort, query.after) if query.after else None
    behind, place_values = after(query.sort, place)
    values.update(_own(principal), **place_values, **touched_values(query.filters))
    values.update(limit=limit, offset=offset, upto=None if limit is None else limit + offset)
    parts = {"conditions": where, "after": behind, "keys": key_columns(query.sort)}
    halves: list[tuple[str, dict[str, compose.Composable]]] = []
    if query.baseline or query.filters.wants_pristine():
        untouched = TRUE if query.baseline else _SQL["untouched"]
        halves.append(("pristine", {"untouched": untouched}))
    if not query.baseline:
        halves.append(("touched", {"narrowing": _SQL["narrowing"]}))
    branches = [
        _SQL[name].format(**parts, **own, stretch=stretch.condition, order=stretch.order)
        for name, own in halves
        for stretch in stretches(query.sort, place)
    ]
    union = compose.SQL(" UNION ALL ").join(compose.SQL("({})").format(one) for one in branches)
    return _SQL["whole"].format(stretches=union, order=order(query.sort)), values


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return None if value is None else str(value)


def _value(conn: Connection[Any], statement: compose.Composed, values: dict[str, Any]) -> int:
    row = conn.execute(statement, values).fetchone()
    return row[0] if row else 0


def _own(principal: Principal) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
