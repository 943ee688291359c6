"""Connections that do not wait for an answer which cannot come any more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, TypeVar

import psycopg
from psycopg import Connection, Transaction
from psycopg.pq import TransactionStatus

from pfa_core import sql

_SQL = sql.statements("silence")
SILENCE_SECONDS = 30.0  # seconds without an answer, after which the server is asked
ASK_SECONDS = 5  # for a connection to ask on, and for its answer
_FAILED_ASKS = 2  # in a row: an answer may be on its way during the first
_MOST_LIMITS = 10  # of silence, while the server refuses to be asked
_ASKS = 6  # in the time of SILENCE_SECONDS, after the first that failed

# After so long a statement that waits for a lock says for whose.
NOTICE_SECONDS = 20.0

Value = TypeVar("Value")
_LOGGER = logging.getLogger("pfa")


class Holder(NamedTuple):
    """The session that holds a lock.

    `since`: when its transaction began, None where the role may not see it.
    """

    pid: int
    user: str
    application: str
    since: datetime | None

    def __str__(self) -> str:
        program = f" ({self.application})" if self.application else ""
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"process {self.pid} of {self.user}{program} holds a lock{since}"


class WatchedConnection(Connection[Any]):
    """A connection that asks on another one whether the server is at work for it.

    A proxy may acknowledge what it never delivers, so that neither keepalives nor tcp_user_timeout notice.
    On a long statement the server says that it is at work, and the wait goes on.

    Attributes:
        silence_limit: Seconds without an answer, after which the server is asked.
        another: Opens a connection to the same server; None: it is not asked, and silence is the end.
        holder: Whose lock the last statement that waited long waited for.
        settings: Statements that each transaction begins with, where the session is not its own.
    """

    silence_limit: float = SILENCE_SECONDS
    another: Callable[[], Connection[Any]] | None = None
    holder: Holder | None = None
    settings: LiteralString = ""

    @contextmanager
    def transaction(  # psycopg's signature
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002
    ) -> Iterator[Transaction]:
        """Open a transaction as psycopg does, or a savepoint in the open one.

        Raises:
            ReadOnlySqlTransaction: It would write, and the server is a replica.
        """
        begins = self.info.transaction_status is TransactionStatus.IDLE
        with ExitStack() as stack:
            try:
                transaction = stack.enter_context(
                    super().transaction(savepoint_name, force_rollback)
                )
            except psycopg.errors.FeatureNotSupported as error:
                # "cannot set transaction read-write mode during recovery"
                raise psycopg.errors.ReadOnlySqlTransaction(str(error)) from error
            if begins and self.settings:
                self.execute(self.settings)
            yield transaction

    def wait(self, gen: Any, *words: Any, **named: Any) -> Any:
        """Wait for the server as psycopg does.

        Raises:
            OperationalError: There was no answer, and the server is not at work on one; ConnectionTimeout
                where it could not be asked either. The connection is closed.
        """
        return super().wait(self._watched(gen), *words, **named)

    def _watched(self, gen: Generator[Any, Any, Value]) -> Generator[Any, Any, Value]:
        try:
            wanted = next(gen)
            last, due, failed = time.monotonic(), self.silence_limit, 0
            noticed = False
            while True:
                ready = yield wanted
                # psycopg asks ten times a second, also where nothing has come.
                waited = time.monotonic() - last
                if waited > NOTICE_SECONDS and not noticed:
                    noticed = True
                    self._notice_holder(waited)
                if ready:
                    last, due, failed = last + waited, self.silence_limit, 0
                elif waited > due:
                    at_work = self._is_at_work(waited, end=failed > 0)
                    failed = 0 if at_work else failed + 1
                    if failed == _FAILED_ASKS or not self.another:
                        self._give_up(waited, reached=at_work is not None)
                    pause = self.silence_limit / _ASKS if failed else self.silence_limit
                    due = time.monotonic() - last + pause
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value
        except psycopg.errors.LockNotAvailable as error:
            # Its text is not shown, and the lock is not waited for any more.
            error.add_note(str(self.holder or ""))
            raise

    def _notice_holder(self, waited: float) -> None:
        """Log for whose lock the statement waits; a failed question changes nothing."""
        self.holder = None
        with suppress(psycopg.Error):
            if self.another is not None:
                with self.another() as other:
                    self.holder = blocking(other, self.info.backend_pid)
        if self.holder:
            _LOGGER.warning("waiting for %.0f s: %s", waited, self.holder)

    def _give_up(self, waited: float, *, reached: bool) -> None:
        self.pgconn.finish()
        kind = psycopg.OperationalError if reached else psycopg.errors.ConnectionTimeout
        raise kind(f"it has not answered for {waited:.0f} seconds")

    def _is_at_work(self, waited: float, *, end: bool) -> bool | None:
        """Ask whether the server is at work for this connection.

        With `end`, a session that is not is ended: one that goes on waiting for this client keeps its locks.

        Returns:
            None where the server could not be asked.
        """
        if self.another is None:
            return None
        try:
            with self.another() as other:
                return _ask(other, self.info.backend_pid, waited, end=end)
        except psycopg.Error as error:
            # Having no connection to spare, or while it recovers, the server answers; a pooler does for ever.
            answers = "FATAL" in str(error) and waited < _MOST_LIMITS * self.silence_limit
            return True if answers else None


def blocking(other: Connection[Any], pid: int) -> Holder | None:
    """Find the session that keeps this one waiting for a lock."""
    values = {"pid": pid, "own": other.info.backend_pid}
    row = other.execute(_SQL["holder"], values).fetchone()
    return Holder(*row) if row else None


def holder_of_key(conn: Connection[Any], key: int) -> Holder | None:
    """Find the session that holds an advisory lock."""
    row = conn.execute(_SQL["holder_of_key"], {"key": key}).fetchone()
    return Holder(*row) if row else None


def _ask(other: Connection[Any], pid: int, waited: float, *, end: bool) -> bool:
    # Behind a pooler the ids that clients see are not those of the server's sessions.
    values = {"pid": pid, "waited": waited, "own": other.info.backend_pid}
    at_work = _says(other, "at_work", values) or _is_a_worker_at_work(other, values)
    if end and not at_work:
        other.execute(_SQL["let_go"], values)
    return at_work


def _is_a_worker_at_work(other: Connection[Any], values: Mapping[str, Any]) -> bool:
    if not _says(other, "has_workers", {}):
        return False
    try:
        return _says(other, "at_work_on_workers", values)
    except psycopg.Error:
        if other.closed:
            raise
        return False  # a node that does not answer keeps none of them from being asked


def _says(other: Connection[Any], statement: str, values: Mapping[str, Any]) -> bool:
    row = other.execute(_SQL[statement], values).fetchone()
    return bool(row and row[0])
