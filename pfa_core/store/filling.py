"""Records of which the mirror has none yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, RunId
from pfa_core.store import mirror, rls, writing
from pfa_core.store.ahead import made_ahead
from pfa_core.store.copying import (
    Marks,
    Received,
    copy_blocks,
    copy_received,
    copy_records,
    escaped,
    received_blocks,
)

_SQL = sql.statements("mirror")
MANY = 10_000  # new records at once, after which the statistics are renewed


def fill(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    rows: Iterable[Received],
    at: datetime,
) -> int:
    """Insert records and their sums into an organization's empty mirror.

    Each id comes once. Where the whole mirror is empty, its indexes are made of all records at once.

    Returns:
        Their number.
    """
    lacks_indexes = reserve(conn)
    values = {"organization_id": organization_id, "run_id": run_id, "at": at}
    if rls.status(conn).active:
        written = _fill_by_portions(conn, rows, values)
    else:
        written = _copy_new(conn, rows, values)
        mirror.recompute_rollup(conn, organization_id)
    if lacks_indexes:
        index(conn)
    if written >= MANY:
        conn.execute(_SQL.for_role("analyze", rls=rls.applies(conn)))
    return written


def put_new(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    rows: Sequence[Received],
    at: datetime,
) -> bool:
    """Insert new records, each id once, and add their sums to the rollup.

    Returns:
        False, and nothing done, where the mirror has any record between their first and last id.
    """
    if not rows:
        return True
    ids = [pfa_id for pfa_id, *_ in rows]
    values = {"organization_id": organization_id, "first": min(ids), "last": max(ids)}
    found = conn.execute(_SQL["knows_between"], values).fetchone()
    if not found or found[0]:
        return False
    lacks_indexes = found[1] and reserve(conn)
    values |= {"run_id": run_id, "at": at, "sign": 1}
    if rls.status(conn).active:
        writing.changed(conn, _SQL, "create_incoming")
        copy_received(conn, _SQL["copy_incoming"], rows)
        _write(conn, "put_new", ["put_received"], values)
    else:
        _copy_new(conn, rows, values)
        mirror.post(conn, "post_between", values)
    if lacks_indexes:
        index(conn)
    return True


def reserve(conn: Connection[Any]) -> bool:
    """Return whether the mirror lacks its indexes.

    Then other writers wait for this transaction.
    """
    row = conn.execute(_SQL.for_role("reserve", rls=rls.applies(conn))).fetchone()
    return bool(row and row[0])


def index(conn: Connection[Any]) -> None:
    """Make the indexes of the mirror that are missing."""
    conn.execute(_SQL.for_role("index", rls=rls.applies(conn)))


def _fill_by_portions(
    conn: Connection[Any], rows: Iterable[Received], values: dict[str, Any]
) -> int:
    """Insert by way of a temporary table: COPY takes no table with policies.

    A portion is checked and written in COPY's format while PostgreSQL takes in the one before.
    """
    written = 0
    writing.changed(conn, _SQL, "create_incoming")
    with made_ahead(received_blocks(rows)) as blocks:
        for number, block in blocks:
            copy_blocks(conn, _SQL["copy_incoming"], [block])
            steps = ["clear_unfilled", "drop_kept", "put_portion", "empty_incoming"]
            _write(conn, "fill", steps, {**values, "sign": 1})
            written += number
    _write(conn, "fill_kept", ["drop_kept", "keep_sums"], {**values, "sign": 1})
    return written


def _write(conn: Connection[Any], name: str, steps: Sequence[str], values: dict[str, Any]) -> None:
    """Call a function, or execute its statements where none is needed."""
    if rls.applies(conn):
        writing.counts(conn, _SQL, name, values)
        return
    for step in steps:
        conn.execute(_SQL[step], values)


def _copy_new(conn: Connection[Any], rows: Iterable[Received], values: dict[str, Any]) -> int:
    """Copy records straight into the mirror, and what they were read from behind them."""
    code, run_id, at = values["organization_id"], values["run_id"], values["at"]
    head, tail = f"{escaped(code)}\t", f"\t1\t{run_id}\t{at.isoformat()}"
    row = conn.execute(_SQL["writer"]).fetchone()
    writer = row[0] if row else ""
    with Marks(head, f"\t1\t{writer}\t") as marks:
        written = copy_records(conn, _SQL["copy_new"], rows, head=head, tail=tail, marks=marks)
        if marks.first:
            # Of rows that were deleted by other means, with the same ids.
            between = {**values, "first": marks.first, "last": marks.last}
            conn.execute(_SQL["forget_digests"], between)
            marks.copy(conn, _SQL["copy_digests"])
            if rls.is_distributed(conn):
                conn.execute(_SQL["stamp_digests"], between)
    return written
