"""Handles on a database, the only place that opens connections and transactions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import Connection, IsolationLevel, Rollback
from psycopg.pq import TransactionStatus

from pfa_core.errors import Internal, InvalidRequest, NotAllowed, PfaError
from pfa_core.model.ids import Clock, NewId, new_id, utc_now
from pfa_core.model.pooling import Pooling
from pfa_core.store.errors import (
    TryAgain,
    node_lost,
    not_committed,
    replica_conflict,
    translated,
)
from pfa_core.store.opening import Target, open_handle
from pfa_core.store.turn import Turns

if TYPE_CHECKING:
    from pfa_core.store.outcome import Ending
    from pfa_core.store.replica import Replica

Result = TypeVar("Result")

_LOGGER = logging.getLogger("pfa")
ATTEMPTS = 5
BROKEN_COMMITS = 3  # of one operation, until it is given up
_CANCEL_SECONDS = 5.0  # as psycopg's own, when it is interrupted


@dataclass
class Database:
    """A handle on one database.

    The connection opens at first use and is kept until `close`. Threads that share a handle wait for
    each other; for parallel work open a handle each. `clock` and `new_id` are the sources of time and
    ids.

    Args:
        conninfo: A libpq connection string or URL; None for the embedded server in `root`.
        root: The embedded server's directory.
        named_by: What named the connection string, for messages.
        owner: Connect to the embedded server as its owner, to whom row-level security does not apply.
            On other servers the address names the role.
        silence_limit: Seconds without an answer, after which the server is asked whether it is still at work;
            None: the address's tcp_user_timeout, else 30 seconds.
        pooling: Whether a pooler lies between the address and its server.
        replica: What reads ask in place of the server, where it has what was written.
    """

    conninfo: str | None = field(repr=False)
    root: Path | None = None
    _: KW_ONLY
    clock: Clock = utc_now
    new_id: NewId = new_id
    require_schema: bool = True
    owner: bool = False
    named_by: str = "conninfo"
    silence_limit: float | None = None
    pooling: Pooling = Pooling.DETECTED
    replica: Replica | None = None
    _connection: Connection[Any] | None = field(default=None, repr=False)
    _turns: Turns = field(default_factory=Turns, repr=False)
    _changed: threading.Event = field(default_factory=threading.Event, repr=False)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def beside(self, *, silence_limit: float | None = None) -> Database:
        """Make another handle on the same database, for another thread; close it."""
        silence_limit = silence_limit or self.silence_limit
        replica = self.replica and self.replica.beside()
        return replace(
            self,
            silence_limit=silence_limit,
            replica=replica,
            _connection=None,
            _turns=Turns(),
        )

    @contextmanager
    def administration(self) -> Iterator[Database]:
        """Open a handle for setting up organizations, members and keys.

        This needs the owner's role. On the embedded server it connects as the owner; elsewhere it is
        this handle, whose address has to name the owner.
        """
        if self.conninfo is not None or self.owner:
            yield self
            return
        own = replace(self, owner=True, _connection=None, _turns=Turns())
        with own:
            yield own

    def close(self) -> None:
        """Close the connection; the handle opens a new one if it is used again."""
        with self._turns.taken():
            if self._connection:
                self._connection.close()
            self._connection = None
            if self.replica:
                self.replica.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the handle for a block.

        A connection that is interrupted in it is not used again. A signal may stop psycopg between two
        steps: with an answer on its way, in an open transaction, with one counted that never began.
        """
        with self._turns.taken() as is_first:
            if is_first:
                self._drop_busy()
            try:
                yield
            except (Exception, GeneratorExit):
                raise
            except BaseException:
                if is_first:
                    self._drop()
                raise

    def _drop_busy(self) -> None:
        """Drop connections that a block left in the middle of something."""
        kept = (self._connection, self.replica and self.replica.kept)
        if any(conn and not conn.closed and not _is_idle(conn) for conn in kept):
            self._drop()

    def _drop(self) -> None:
        """Close the connections, and end what the server is at work on for them."""
        for conn in (self._connection, self.replica and self.replica.kept):
            if conn and conn.info.transaction_status is TransactionStatus.ACTIVE:
                with suppress(psycopg.Error):
                    conn.cancel_safe(timeout=_CANCEL_SECONDS)
        self.close()

    def read(self, work: Callable[[Connection[Any]], Result], *, latest: bool = False) -> Result:
        """Run `work` in one read-only snapshot, again when the connection broke.

        Args:
            latest: What others wrote counts too: the server itself is asked, never a replica.
        """

        def attempt() -> Result:
            nonlocal latest
            with self._snapshot(latest=latest) as conn:
                latest = True  # a second attempt is the server's
                return work(conn)

        with self._denials():
            return self._with_retries(attempt)

    @contextmanager
    def snapshot(self) -> Iterator[Connection[Any]]:
        """Open a read-only transaction that sees one state of the database."""
        with self._denials(), self._snapshot() as conn:
            yield conn

    def transact(
        self, work: Callable[[Connection[Any]], Result], *, dry_run: bool = False
    ) -> Result:
        """Run `work` in one transaction.

        It runs again from its start when it lost against another transaction. With `dry_run` it is
        rolled back. When the connection breaks during the commit, a new one is asked what became of it:
        it is returned as committed, or runs again. What `work` writes into the audit trail becomes a link
        of its chain, as the last statements before the commit.

        Raises:
            OutcomeUnknown: The connection broke during the commit and no new one could say whether the
                database committed.
        """
        # A read loads neither.
        from pfa_core.store import statistics
        from pfa_core.store.audit_chain import entries, first_entry, first_organization, linked
        from pfa_core.store.outcome import Ending, begin, is_in_doubt

        broken = 0

        def attempt() -> Result:
            nonlocal broken
            with self._turn(), translated():
                conn = self._idle()
                conn.isolation_level = IsolationLevel.READ_COMMITTED
                conn.read_only = False
                ending: Ending[Result] | None = None
                try:
                    with conn.transaction() as transaction:
                        begun = begin(conn, require_schema=self.require_schema)
                        with linked(conn) as links:
                            result = work(conn)
                        ending = Ending(
                            begun, first_entry(links), result, first_organization(links)
                        )
                        written = entries(links)
                        if dry_run:
                            raise Rollback(transaction)
                except (psycopg.OperationalError, psycopg.InternalError) as error:
                    if ending is None or dry_run or not is_in_doubt(conn, error):
                        raise
                    if ending.has_committed(self.connection):
                        self._note(ending, self.connection())
                        return ending.result
                    broken += 1
                    self._require_another_attempt(error, broken)
                    raise
                if not dry_run:
                    self._note(ending, conn)
                    statistics.renew_after(conn, written)
                return result

        with self._denials():
            return self._with_retries(attempt)

    def _require_another_attempt(self, error: psycopg.Error, broken: int) -> None:
        """Refuse to do a transaction again that was not committed, where that cannot help."""
        from pfa_core.store.outcome import is_spread

        if broken == BROKEN_COMMITS:
            raise not_committed() from error
        if error.sqlstate and is_spread(self.connection()):
            raise node_lost() from error

    def _note(self, ending: Ending[Any] | None, conn: Connection[Any]) -> None:
        """Note a commit, and up to where a replica must have come for the next read.

        A failure changes nothing: what was committed stands.
        """
        if ending and ending.entry_id:
            self._changed.set()
        if self.replica:
            with suppress(psycopg.Error):
                self.replica.note(conn)

    @property
    def has_changed(self) -> bool:
        """Whether a transaction that wrote into the audit trail has committed.

        It may have been one of a handle that was made beside this one.
        """
        return self._changed.is_set()

    def administer(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """Run `work` outside any transaction: it begins and ends its own."""

        def attempt() -> Result:
            with self._turn(), translated():
                conn = self._idle()
                conn.isolation_level = IsolationLevel.READ_COMMITTED
                conn.read_only = False
                return work(conn)

        return self._with_retries(attempt)

    @contextmanager
    def _snapshot(self, *, latest: bool = False) -> Iterator[Connection[Any]]:
        with self._turn(), translated(), ExitStack() as stack:
            conn = None if latest else self._begin_on_replica(stack)
            if conn is None:
                yield self._begin_snapshot(stack)
                return
            try:
                yield conn
            except psycopg.errors.SerializationFailure as error:
                raise replica_conflict() from error

    def _begin_on_replica(self, stack: ExitStack) -> Connection[Any] | None:
        """Begin on the replica; None where the server itself has to be asked."""
        if self.replica is None:
            return None
        conn = self.replica.reader(self.silence_limit, self.pooling)
        if conn is None:
            return None
        try:
            return self._begin(conn, stack)
        except psycopg.OperationalError as error:
            self.replica.fail(error)
            return None

    def _begin(self, conn: Connection[Any], stack: ExitStack) -> Connection[Any]:
        _require_idle(conn)
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        stack.enter_context(conn.transaction())
        return conn

    @contextmanager
    def _denials(self) -> Iterator[None]:
        """Record a denial after the transaction that raised it, which stores nothing.

        The caller gets the denial also where it cannot be recorded, on a replica for instance.
        """
        try:
            yield
        except NotAllowed as error:
            denial, error.denial = error.denial, None
            if denial:
                from pfa_core.store import audit

                try:
                    with self.administration() as own:
                        own.transact(lambda conn: audit.deny(conn, denial, str(self.new_id())))
                except Exception as failure:
                    reason = failure.message if isinstance(failure, PfaError) else type(failure)
                    _LOGGER.warning("a denial could not be recorded: %s", reason)
            raise

    def _begin_snapshot(self, stack: ExitStack) -> Connection[Any]:
        """Begin on the open connection, or on a new one where that is broken."""
        for kept in (self._connection is not None, False):
            conn = self._idle()
            try:
                if self.replica:
                    self.replica.doubt(conn)
                return self._begin(conn, stack)
            except psycopg.OperationalError:
                if not kept or not conn.closed:
                    raise
        raise Internal("unreachable")

    def _idle(self) -> Connection[Any]:
        conn = self.connection()
        _require_idle(conn)
        return conn

    def connection(self) -> Connection[Any]:
        """Return the connection, opened now if it is not open."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection[Any]:
        return open_handle(
            Target(
                conninfo=self.conninfo,
                root=self.root,
                named_by=self.named_by,
                owner=self.owner,
                require_schema=self.require_schema,
                silence_limit=self.silence_limit,
                pooling=self.pooling,
            )
        )

    def _with_retries(self, attempt: Callable[[], Result]) -> Result:
        for number in range(1, ATTEMPTS):
            try:
                return attempt()
            except TryAgain:
                time.sleep(0.02 * 2**number)
        return attempt()


def _is_idle(conn: Connection[Any]) -> bool:
    return conn.info.transaction_status is TransactionStatus.IDLE


def _require_idle(conn: Connection[Any]) -> None:
    if not _is_idle(conn):
        raise InvalidRequest("this handle is busy with a stream; open another one beside it")
