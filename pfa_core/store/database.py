"""Connections and transactions, and psycopg's errors as ours. The one place that opens either."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, IsolationLevel, Rollback
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_dumps, set_json_loads

from pfa_core import exact_json
from pfa_core.errors import (
    ConfigInvalid,
    Internal,
    InvalidRequest,
    NotAllowed,
    PfaError,
)
from pfa_core.model.ids import Clock, NewId, new_id, utc_now
from pfa_core.store import audit, migrations
from pfa_core.store.adapters import TextsDumper
from pfa_core.store.audit_chain import linked
from pfa_core.store.embedded import server
from pfa_core.store.errors import NO_ADDRESS, TryAgain, commit_unknown, translated
from pfa_core.store.rls import APP_ROLE

Result = TypeVar("Result")

_LOGGER = logging.getLogger("pfa")
# What the driver warns of when it is interrupted stays off stderr; a program's own handlers get it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
ATTEMPTS = 5
# A process that is frozen in the middle of a change must not keep what it has locked from all others.
_LET_GO = "SET LOCAL idle_in_transaction_session_timeout = '60s'"
_NOWHERE = "neither an address nor a directory was given"
_SHOWN_WORDS = ("host", "hostaddr", "port", "dbname", "user", "service", "sslmode")
# A page of ten thousand records is sorted in memory, not on disk.
_SESSION = "-c timezone=UTC -c jit=off -c datestyle=ISO -c statement_timeout=0 -c work_mem=32MB"


@dataclass
class Database:
    """A handle on one database; the connection opens at first use and is kept until `close`.

    Threads that share a handle take turns; for parallel work open a handle each. `clock` and
    `new_id` are where time and ids come from.

    Args:
        conninfo: A libpq connection string or URL; None for the embedded server in `root`.
        root: The embedded server's directory.
        owner: Connect to the embedded server as its owner, whom no wall holds off. Elsewhere the
            address says who connects.
    """

    conninfo: str | None = field(repr=False)
    root: Path | None = None
    clock: Clock = utc_now
    new_id: NewId = new_id
    require_schema: bool = True
    owner: bool = False
    _connection: Connection[Any] | None = field(default=None, repr=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def beside(self) -> Database:
        """Another handle on the same database, for a thread of its own; close it."""
        return replace(self, _connection=None, _turn=threading.RLock())

    @contextmanager
    def administration(self) -> Iterator[Database]:
        """A handle for what is done before anybody can be let in, or to who may be: as the owner on the
        embedded server, elsewhere this one, whose address has to be the owner's."""
        if self.conninfo is not None or self.owner:
            yield self
            return
        own = replace(self, owner=True, _connection=None, _turn=threading.RLock())
        with own:
            yield own

    def close(self) -> None:
        """Give the connection back; the handle opens a new one if it is used again."""
        with self._turn:
            if self._connection:
                self._connection.close()
            self._connection = None

    def read(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """What `work` reads, all from one snapshot; tried again when the connection broke."""

        def attempt() -> Result:
            with self._snapshot() as conn:
                return work(conn)

        with self._denials():
            return self._with_retries(attempt)

    @contextmanager
    def snapshot(self) -> Iterator[Connection[Any]]:
        """A read-only transaction that sees one moment of the database. Reads never write."""
        with self._denials(), self._snapshot() as conn:
            yield conn

    def transact(
        self, work: Callable[[Connection[Any]], Result], *, dry_run: bool = False
    ) -> Result:
        """Run `work` in one transaction, again from its start when it lost against another.

        With `dry_run` the same happens and is then rolled back. A connection that breaks while the
        database commits leaves it open whether it did: that is never tried again here. What `work`
        writes into the audit trail becomes a link of its chain, as the last thing before the commit.
        """

        def attempt() -> Result:
            with self._turn, translated():
                conn = self._idle()
                conn.isolation_level = IsolationLevel.READ_COMMITTED
                conn.read_only = False
                finished = False
                try:
                    with conn.transaction() as transaction:
                        conn.execute(_LET_GO)
                        with linked(conn):
                            result = work(conn)
                        finished = True
                        if dry_run:
                            raise Rollback(transaction)
                except psycopg.OperationalError as error:
                    if finished and not dry_run and conn.closed:
                        raise commit_unknown() from error
                    raise
                return result

        with self._denials():
            return self._with_retries(attempt)

    def administer(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """Run `work` outside any transaction of ours: it begins and ends its own."""

        def attempt() -> Result:
            with self._turn, translated():
                conn = self._idle()
                conn.isolation_level = IsolationLevel.READ_COMMITTED
                conn.read_only = False
                return work(conn)

        return self._with_retries(attempt)

    @contextmanager
    def _snapshot(self) -> Iterator[Connection[Any]]:
        with self._turn, translated(), ExitStack() as stack:
            yield self._begin_snapshot(stack)

    @contextmanager
    def _denials(self) -> Iterator[None]:
        """Leave a trace of a refusal: after the transaction that refused, which stores nothing.

        The caller hears of the refusal whatever becomes of that: a replica, say, takes no trace.
        """
        try:
            yield
        except NotAllowed as error:
            denial, error.denial = error.denial, None
            if denial:
                try:
                    with self.administration() as own:
                        own.transact(lambda conn: audit.deny(conn, denial, str(self.new_id())))
                except Exception as failure:
                    told = failure.message if isinstance(failure, PfaError) else type(failure)
                    _LOGGER.warning("a denial could not be written down: %s", told)
            raise

    def _begin_snapshot(self, stack: ExitStack) -> Connection[Any]:
        """Begin on the open connection, on a new one where that turns out to be broken."""
        for kept in (self._connection is not None, False):
            conn = self._idle()
            conn.isolation_level = IsolationLevel.REPEATABLE_READ
            conn.read_only = True
            try:
                stack.enter_context(conn.transaction())
                return conn
            except psycopg.OperationalError:
                if not kept or not conn.closed:
                    raise
        raise Internal("unreachable")

    def _idle(self) -> Connection[Any]:
        conn = self.connection()
        if conn.info.transaction_status is not TransactionStatus.IDLE:
            raise InvalidRequest("this handle is busy with a stream; open another one beside it")
        return conn

    def connection(self) -> Connection[Any]:
        """The open connection, opened now if there is none."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection[Any]:
        if self.conninfo is not None:
            return self._settled(_open(self.conninfo))
        if self.owner or not self.require_schema:
            return self._settled(self._connect_embedded())
        return self._connect_bound()

    def _settled(self, conn: Connection[Any]) -> Connection[Any]:
        try:
            self._settle_schema(conn)
        except BaseException:
            conn.close()
            raise
        return conn

    def _connect_bound(self) -> Connection[Any]:
        """As the role that the wall holds off; whatever is not ready for it the owner makes so."""
        with suppress(psycopg.Error):
            conn = self._open_bound()
            with suppress(psycopg.Error):
                if migrations.schema_version(conn) == migrations.program_version():
                    return conn
            conn.close()
        with self._settled(self._connect_embedded()) as owner:
            migrations.allow_app_login(owner)
        return self._open_bound()

    def _open_bound(self) -> Connection[Any]:
        if self.root is None:
            raise Internal(_NOWHERE)
        return _open(server.conninfo(self.root, user=APP_ROLE))

    def _connect_embedded(self) -> Connection[Any]:
        if self.root is None:
            raise Internal(_NOWHERE)
        try:
            return _open(server.conninfo(self.root))
        except psycopg.OperationalError:
            return _open(server.ensure(self.root))

    def _settle_schema(self, conn: Connection[Any]) -> None:
        """See that the schema is the program's own; only the embedded server is upgraded unasked."""
        if not self.require_schema:
            return
        version = migrations.schema_version(conn)
        if self.conninfo is None and version != migrations.program_version():
            version = migrations.upgrade(conn).after
        migrations.require_current(version)

    def _with_retries(self, attempt: Callable[[], Result]) -> Result:
        for number in range(1, ATTEMPTS):
            try:
                return attempt()
            except TryAgain:
                time.sleep(0.02 * 2**number)
        return attempt()


def _open(conninfo: str) -> Connection[Any]:
    try:
        # A password with an @ in it, not written %40: what follows would be taken, and told, as the host.
        if "@" in str(conninfo_to_dict(conninfo).get("host") or ""):
            raise UnicodeError
        conn = _connect(conninfo)
    except (psycopg.ProgrammingError, UnicodeError):
        # Not even under --debug: the driver's text quotes the address, password and all.
        raise ConfigInvalid(NO_ADDRESS, hint="see PFA_DATABASE_URL") from None
    set_json_loads(exact_json.loads, conn)
    set_json_dumps(exact_json.dumps, conn)
    conn.adapters.register_dumper(list, TextsDumper)
    return conn


def _connect(conninfo: str) -> Connection[Any]:
    return psycopg.connect(
        conninfo,
        autocommit=True,
        connect_timeout=10,
        application_name="pfa",
        options=_SESSION,
        client_encoding="utf-8",
    )


def safe_address(conninfo: str) -> str:
    """A connection string or URL as `key=value` words, without anything secret in it."""
    try:
        words = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return "not a valid address"
    port = str(words.get("port") or "0").replace(",", "")
    if not port.isdigit() or "@" in str(words.get("host") or ""):
        return "not a valid address"
    shown = {key: str(words[key]) for key in _SHOWN_WORDS if key in words}
    return make_conninfo("", **shown)


def split_password(conninfo: str) -> tuple[str, str]:
    """The address without its password, and the password: every user sees a program's arguments."""
    try:
        words = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    except psycopg.ProgrammingError:
        raise ConfigInvalid(NO_ADDRESS, hint="see PFA_DATABASE_URL") from None
    password = words.pop("password", "")
    words.pop("sslpassword", None)
    return (make_conninfo("", **words), password) if password else (conninfo, "")
