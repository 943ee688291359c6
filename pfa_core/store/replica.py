"""The replica that reads ask in place of the server."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from pfa_core import sql
from pfa_core.errors import DatabaseUnavailable, SchemaOutdated
from pfa_core.model.pooling import Pooling
from pfa_core.store import schema
from pfa_core.store.connection import open_connection, safe_address
from pfa_core.store.written import Place, Written

_SQL = sql.statements("replica")
_LOGGER = logging.getLogger("pfa")
WAIT_SECONDS = 1.0  # for the replica to come up with what the reader wrote
_PAUSE = 0.01
CONNECT_SECONDS = 3  # where the address names no limit: the server itself can be asked
# After so long a replica that failed is asked again, and one that was behind is waited for again.
AGAIN_SECONDS = 30.0


@dataclass(eq=False)
class Replica:
    """A replica of the server of a handle, for its reads.

    A read asks it once it has what this user's processes wrote before; within WAIT_SECONDS it does not,
    or cannot be reached, the server itself is asked.

    Args:
        conninfo: Its address.
        named_by: What named the address, for messages.
        written: Up to where it must have come.
        say: Takes a sentence about who is asked, each once.
    """

    conninfo: str = field(repr=False)
    named_by: str = "the replica's conninfo"
    _: KW_ONLY
    written: Written = field(default_factory=Written)
    say: Callable[[str], None] = _LOGGER.info
    _connection: Connection[Any] | None = field(default=None, repr=False)
    _reached: Place | None = None
    _failed_at: float | None = None
    _late_at: float | None = None
    _said: set[str] = field(default_factory=set, repr=False)

    def beside(self) -> Replica:
        """Make another one of the same replica, for another thread's handle."""
        return replace(self, _connection=None)

    @property
    def kept(self) -> Connection[Any] | None:
        """The connection that is open; None for none."""
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def note(self, server: Connection[Any]) -> None:
        """Note that the server has committed what a later read must see."""
        row = server.execute(_SQL["written"]).fetchone()
        if row:
            self.written.note(Place(*row))

    def reader(self, silence_limit: float | None, pooling: Pooling) -> Connection[Any] | None:
        """Return a connection to a replica that has what was written.

        None: the server itself is to be asked.

        Raises:
            ConfigInvalid: The address is not valid, or the replica refuses its user, password or database.
        """
        if self._failed_at is not None and time.monotonic() - self._failed_at < AGAIN_SECONDS:
            return None
        try:
            conn = self._open(silence_limit, pooling)
            if conn.info.transaction_status is not TransactionStatus.IDLE:
                return conn
            has_come = self._has_come(conn)
        except (psycopg.OperationalError, DatabaseUnavailable, SchemaOutdated) as error:
            self.fail(error)
            return None
        if has_come:
            self._tell(f"reads ask the replica {safe_address(self.conninfo)}")
        return conn if has_come else None

    def fail(self, error: Exception) -> None:
        """Leave the replica alone for a while, after it failed."""
        self.close()
        self._failed_at = time.monotonic()
        reason = getattr(error, "message", "its connection broke")
        self._tell(f"reads ask the server itself, not the replica: {reason}")

    def doubt(self, server: Connection[Any]) -> None:
        """Forget what was written where the server itself does not have it.

        It was put back to an earlier state since.
        """
        last = self.written.last()
        if last and last != self._reached and self._late_at is not None:
            row = server.execute(_SQL["has"], {"system": last.system, "place": last.lsn}).fetchone()
            if row != (True, True):
                self.written.forget()

    def _open(self, silence_limit: float | None, pooling: Pooling) -> Connection[Any]:
        if self._connection is None or self._connection.closed:
            conn = open_connection(
                self.conninfo,
                self.named_by,
                silence_limit,
                connect_seconds=CONNECT_SECONDS,
                waits=False,
            )
            try:
                # What a replica has not got yet, the server may have.
                schema.require_current(schema.version(conn, pooling))
            except BaseException:
                conn.close()
                raise
            self._connection = conn
        return self._connection

    def _has_come(self, conn: Connection[Any]) -> bool:
        """Wait until the replica has what was written; return whether it has."""
        last = self.written.last()
        if last is None or last == self._reached:
            return True
        late = self._late_at is not None and time.monotonic() - self._late_at < AGAIN_SECONDS
        end = time.monotonic() + (0 if late else WAIT_SECONDS)
        values = {"system": last.system, "place": last.lsn}
        pause = _PAUSE
        while (row := conn.execute(_SQL["has"], values).fetchone()) != (True, True):
            if row and not row[0]:
                self._late_at = time.monotonic()
                self._tell("reads ask the server itself: the replica is one of another server")
                return False
            if time.monotonic() >= end:
                self._late_at = time.monotonic()
                self._tell("reads ask the server itself: the replica has not got what you changed")
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        self._reached, self._late_at = last, None
        return True

    def _tell(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self.say(sentence)


def facts(conn: Connection[Any]) -> tuple[str, bool, str | None]:
    """Read the server's history, whether it is a replica, and its place in the log."""
    row = conn.execute(_SQL["facts"]).fetchone()
    return row or ("", False, None)


def bytes_between(conn: Connection[Any], replica: str | None, server: str | None) -> int:
    """Count the bytes of log that a replica has not got."""
    row = conn.execute(_SQL["behind"], {"server": server, "replica": replica}).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
