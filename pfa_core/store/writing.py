"""Statements that write, as they are executed by the connection's role."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg import Connection, Cursor

from pfa_core.sql import Statements
from pfa_core.store import rls


def counts(
    conn: Connection[Any], statements: Statements, name: str, values: Mapping[str, Any]
) -> Sequence[int]:
    """Call a function of several statements, under row-level security only.

    Returns:
        How many rows each of its statements wrote, 0 for one that was left out.
    """
    row = conn.execute(statements.writing(name, rls=True), values).fetchone()
    return row[0] if row else ()


def changed(
    conn: Connection[Any],
    statements: Statements,
    name: str,
    values: Mapping[str, Any] | None = None,
    *,
    ids: Collection[Any] | None = None,
) -> int:
    """Execute a statement that writes; return how many rows it wrote.

    Under row-level security the function that has the statement is called instead.

    Args:
        ids: The ids that it is about, where it has a variant for one.
    """
    bound = rls.applies(conn)
    cursor = conn.execute(statements.writing(name, rls=bound, ids=ids), values or {})
    if not bound:
        return cursor.rowcount
    row = cursor.fetchone()
    return row[0][0] if row else 0


def returned(
    cursor: Cursor[Any],
    statements: Statements,
    name: str,
    values: Mapping[str, Any],
) -> Cursor[Any]:
    """Execute the same where the statement returns rows."""
    return cursor.execute(statements.writing(name, rls=rls.applies(cursor.connection)), values)
