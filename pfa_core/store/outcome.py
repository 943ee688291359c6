"""The outcome of a transaction whose COMMIT was not answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import Connection

from pfa_core import sql
from pfa_core.errors import Internal, OutcomeUnknown, PfaError

_SQL = sql.statements("outcome")
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
    """

    begun: Begun
    entry_id: str
    result: Result

    def has_committed(self, connect: Callable[[], Connection[Any]]) -> bool:
        """Ask a new connection whether the transaction has committed.

        A session that goes on although its client is gone is ended, since it holds locks.

        Args:
            connect: Returns an open connection, a new one where the last is broken.

        Raises:
            OutcomeUnknown: There is no connection within WAIT_SECONDS, or the server cannot say; one that aborted
                cannot where others have parts of the transaction.
        """
        begin_of_wait, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            waited = time.monotonic() - begin_of_wait
            spread = False
            try:
                status, spread = _ask(connect(), self.begun, end=waited > _GRACE_SECONDS)
            except (psycopg.Error, PfaError) as error:
                status, cause = "in progress", error
            else:
                cause = None
            if status == "committed" or (status == "aborted" and not spread):
                return status == "committed"
            if status in (None, "aborted") or waited > WAIT_SECONDS:
                raise self._unknown() from cause
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

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


def begin(conn: Connection[Any]) -> Begun:
    """Begin a writing transaction: limit its idle time, assign its id."""
    cursor = conn.execute(_SQL["begin"])
    cursor.nextset()
    row = cursor.fetchone()
    if row is None:
        raise Internal("a transaction got no id")
    return Begun(*row)


def _ask(conn: Connection[Any], begun: Begun, *, end: bool) -> tuple[str | None, bool]:
    """Ask what became of a transaction, and whether other servers have parts of it."""
    values = {"xid": begun.xid, "server": begun.server}
    row = conn.execute(_SQL["ask"], values).fetchone()
    status, spread = row or (None, False)
    if status == "in progress" and end:
        conn.execute(_SQL["end"], {"pid": begun.pid, "xid": begun.xid})
    return status, bool(spread)
