"""What the planner knows of the tables, renewed after bulk writes.

Autovacuum comes a minute later at the earliest, and not at all to a restored dump; until then each statement is
planned for the tables as they were.
"""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg import Connection

from pfa_core import sql
from pfa_core.store import rls

_SQL = sql.statements("statistics")
_LOGGER = logging.getLogger("pfa")
# Rows from which on a write is a bulk one, and from which on the rest of it is worth being planned anew. The
# question costs a millisecond: it is asked again when twice as many were written.
BULK, WHILE_WRITING = 100, 5000
# What a restored dump fills and nothing has counted yet.
LARGE = (
    "audit_log",
    "kpi_overlay",
    "kpi_rollup",
    "pfa_digest",
    "pfa_mirror",
    "pfa_modification",
    "pfa_overlay",
)

# Rows that a connection has written since it last had tables analyzed.
_written: WeakKeyDictionary[Connection[Any], int] = WeakKeyDictionary()
_asked: WeakSet[Connection[Any]] = WeakSet()
# How many of its rows the open transaction has had counted.
_counted: WeakKeyDictionary[Connection[Any], int] = WeakKeyDictionary()
# How many of its rows tell of what the open transaction has deleted, and how many of `_written` do.
_deleting: WeakKeyDictionary[Connection[Any], int] = WeakKeyDictionary()
_deleted: WeakKeyDictionary[Connection[Any], int] = WeakKeyDictionary()


def ask(conn: Connection[Any]) -> None:
    """Let the end of this transaction be that of a bulk write, whatever it writes."""
    _asked.add(conn)


def renew_after(conn: Connection[Any], rows: int) -> None:
    """Renew statistics that are outgrown, in a transaction of its own.

    What was committed before stands whatever becomes of it.

    Args:
        rows: How many the last one wrote.
    """
    before, counted = _written.get(conn, 0), _counted.pop(conn, 0)
    if counted:  # while it wrote; at twice as many again
        before, rows = 0, rows - counted if rows >= 2 * counted else 0
    now = _written[conn] = before + rows
    deleted = _deleted[conn] = min(now, _deleted.get(conn, 0) + _deleting.pop(conn, 0))
    if conn not in _asked and not _doubled(before, now, BULK):
        return
    _asked.discard(conn)
    if _renewed(conn, now - deleted, bearer=True):
        _written[conn] = _deleted[conn] = 0


def renew_within(conn: Connection[Any], before: int, rows: int, *, deleting: bool = False) -> None:
    """Renew statistics that the open transaction has outgrown.

    What it goes on to write is planned with them.

    Args:
        before: How many rows it had written before these.
        deleting: These rows tell of what is deleted: the tables of drafts become smaller, and what is known of
            them serves as well as before.
    """
    if before == 0:  # of a transaction that was rolled back
        _counted.pop(conn, None)
        _deleting.pop(conn, None)
    if deleting:
        _deleting[conn] = _deleting.get(conn, 0) + rows
        return
    now = before + rows
    if _doubled(before, now, WHILE_WRITING) and _renewed(conn, now, bearer=False, within=True):
        _counted[conn] = now


def renew_unknown(conn: Connection[Any]) -> None:
    """Renew what nothing is known of, as the tables' owner."""
    _renewed(conn, 0, bearer=False)


def unknown(conn: Connection[Any]) -> list[str]:
    """List large tables that were never analyzed, as in a restored dump."""
    return [row[0] for row in conn.execute(_SQL["unknown"], {"tables": list(LARGE)})]


def _renewed(
    conn: Connection[Any], written: int, *, bearer: bool, within: bool = False
) -> list[str]:
    """Renew what is due; return of which tables.

    `within` a transaction that may be rolled back it is only what bulk writes fill: the statistics of columns
    would be gone then, and the number of rows would stay, which says that a table is known. A failure is
    noted and no more: a read-only server, a role that may not, a token that has ended since.
    """
    try:
        if rls.is_distributed(conn):
            return []  # each node's autovacuum counts its shards; the coordinator has no rows
        bound = rls.applies(conn)
        statement = _SQL.for_role("renew", rls=bound)
        with conn.transaction():
            if bound and bearer and not rls.authorize_again(conn):
                return []
            row = conn.execute(statement, {"written": written, "within": within}).fetchone()
    except psycopg.Error as error:
        _LOGGER.debug("statistics were not renewed: %s", error)
        return []
    return row[0] if row else []


def _doubled(before: int, now: int, first: int) -> bool:
    """Return whether the number went over the bound, or a doubled one."""
    bound = first
    while bound <= before:
        bound *= 2
    return now >= bound
