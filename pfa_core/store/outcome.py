"""The outcome of a transaction whose COMMIT was not answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg import Connection

from pfa_core import sql
from pfa_core.errors import Internal, OutcomeUnknown, PfaError
from pfa_core.store import schema

_SQL = sql.statements("outcome")
_BEGIN_IN_SCHEMA: LiteralString = _SQL["begin"] + "\n" + _SQL["schema"]
WAIT_SECONDS = 15.0  # for a connection, and for the session to end
_GRACE_SECONDS = 2.0  # in which a session may end by itself
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Begun:
    """A writing transaction, as it is asked for later.

    Args:
        server: The server's start and its counters' beginning, one of which changes with a recovery.
        pid: The session's process; behind a pooler not the one that the connection knows.
    """

    xid: str
    server: str
    pid: int


@dataclass(frozen=True, slots=True)
class Ending(Generic[Result]):
    """A transaction whose COMMIT comes next.

    Args:
        entry_id: The first entry that it wrote into the audit trail; '' for none.
        result: What it returns where it is committed.
        organization_id: Of which organization the entry is.
    """

    begun: Begun
    entry_id: str
    result: Result
    organization_id: str = ""

    def has_committed(self, connect: Callable[[], Connection[Any]]) -> bool:
        """Ask a new connection whether the transaction has committed.

        A session that goes on although its client is gone is ended, since it holds locks. A server that is a
        coordinator of others may have aborted what one of them had committed: there the audit trail says it.

        Args:
            connect: Returns an open connection, a new one where the last is broken.

        Raises:
            OutcomeUnknown: There is no connection within WAIT_SECONDS, or neither server nor trail can say.
        """
        begin_of_wait, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            waited = time.monotonic() - begin_of_wait
            try:
                conn = connect()
                status, spread = _ask(conn, self.begun, end=waited > _GRACE_SECONDS)
                if status == "aborted" and spread:
                    status = self._of_trail(conn)
            except (psycopg.Error, PfaError) as error:
                status, cause = "in progress", error
            else:
                cause = None
            if status in ("committed", "aborted"):
                return status == "committed"
            if status is None or waited > WAIT_SECONDS:
                raise self._unknown() from cause
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _of_trail(self, conn: Connection[Any]) -> str | None:
        """Read from the audit trail what became of it; None: the trail cannot say.

        Raises:
            psycopg.errors.LockNotAvailable: It has not ended yet.
        """
        if not self.entry_id:
            return None
        values = {"organization_id": self.organization_id, "entry_id": self.entry_id}
        with conn.transaction():
            conn.execute(_SQL["wait_a_second"])
            if conn.execute(_SQL["hold_end"], values).fetchone() is None:
                return None
            found = conn.execute(_SQL["has_entry"], values).fetchone()
        return "committed" if found == (True,) else "aborted"

    def _unknown(self) -> OutcomeUnknown:
        message = "the connection broke while the change was being committed; "
        if not self.entry_id:
            return OutcomeUnknown(f"{message}it may be stored or not", hint="type: pfa status")
        return OutcomeUnknown(
            f"{message}it is stored where the audit trail has the entry {self.entry_id}",
            hint=f"type: pfa log --since 1h -o jsonl | grep {self.entry_id}",
        )


def is_in_doubt(conn: Connection[Any], error: psycopg.Error) -> bool:
    """Return whether an error of a COMMIT leaves open what became of the transaction.

    The connection may live: a pooler tells of the server's session that broke, a coordinator of one of its
    servers that it lost.
    """
    return conn.closed or isinstance(error, psycopg.InternalError)


def is_spread(conn: Connection[Any]) -> bool:
    """Return whether the server is a coordinator of others.

    Their loss it tells on a living connection.
    """
    row = conn.execute(_SQL["is_spread"]).fetchone()
    return bool(row and row[0])


def begin(conn: Connection[Any], *, require_schema: bool = False) -> Begun:
    """Begin a writing transaction: limit its idle time, assign its id.

    Args:
        require_schema: Into the program's own schema alone, whatever the connection found when it was opened.

    Raises:
        SchemaOutdated: The database was upgraded since.
    """
    cursor = conn.execute(_BEGIN_IN_SCHEMA if require_schema else _SQL["begin"])
    cursor.nextset()
    row = cursor.fetchone()
    if row is None:
        raise Internal("a transaction got no id")
    if require_schema:
        cursor.nextset()
        schema.require_current((cursor.fetchone() or (None,))[0])
    return Begun(*row)


def _ask(conn: Connection[Any], begun: Begun, *, end: bool) -> tuple[str | None, bool]:
    """Ask what became of a transaction, and whether other servers have parts of it."""
    values = {"xid": begun.xid, "server": begun.server}
    row = conn.execute(_SQL["ask"], values).fetchone()
    status, spread = row or (None, False)
    if status == "in progress" and end:
        conn.execute(_SQL["end"], {"pid": begun.pid, "xid": begun.xid})
    return status, bool(spread)
