"""Settings of a session, whatever the environment, the role and the database set."""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.pooling import Pooling
from pfa_core.store.silence import WatchedConnection

# Longer than what an honest transaction holds: a pull of a million records from files holds its organization's row
# for minutes, a save of as many its user's.
LOCK_SECONDS = 600

_SQL = sql.statements("session")
_ANY: LiteralString = "pg_backend_pid()"


def settle(
    conn: Connection[Any], question: LiteralString, pooling: Pooling = Pooling.DETECTED
) -> tuple[Any, ...] | None:
    """Set a new session's settings and ask a question in one round trip.

    They are not start-up options: poolers drop or refuse these, a server before 17 does not know all of
    them, and a variable of the environment would win. Behind a pooler, whose sessions are those of other
    clients too, nothing is set: each transaction of the connection begins with the settings for itself.
    A pooler is detected by the process id that it names, which is not that of the session.

    Returns:
        The first row of the answer.
    """
    direct = not pooling.is_named
    pid = sql.numeral(conn.info.backend_pid) if pooling is Pooling.DETECTED else _ANY
    # No two sessions have one id, nor one the id 0.
    cursor = conn.execute(_settings(conn, pid if direct else "0", local="false") + question)
    cursor.nextset()
    found = cursor.fetchone() is not None
    while cursor.nextset():
        pass
    if not found:
        _settle_each_transaction(conn, pooling)
    return cursor.fetchone()


def is_pooled(conn: Connection[Any]) -> bool:
    """Return whether a pooler lies between the connection and the server."""
    return isinstance(conn, WatchedConnection) and bool(conn.settings)


def _settle_each_transaction(conn: Connection[Any], pooling: Pooling) -> None:
    if isinstance(conn, WatchedConnection):
        conn.settings = _settings(conn, _ANY, local="true")
    if pooling is Pooling.PREPARED:
        # An older libpq deallocates by SQL, by a name that the server's session does not know.
        conn.prepared_max = None
    else:
        conn.prepare_threshold = None


def _settings(conn: Connection[Any], pid: LiteralString, *, local: LiteralString) -> LiteralString:
    more = _SQL["since_17"] if conn.info.server_version >= 170000 else ""
    lock = sql.numeral(LOCK_SECONDS * 1000)
    settings = _SQL["settings"].format(local=local, pid=pid, lock=lock, more=more)
    return settings + _SQL["check"].format(local=local, pid=pid)
