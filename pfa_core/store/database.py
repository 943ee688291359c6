"""Connections and transactions, and psycopg's errors as ours. The one place that opens either."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, IsolationLevel, Rollback
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_dumps, set_json_loads

from pfa_core import jsontext
from pfa_core.errors import (
    ConfigInvalid,
    DatabaseUnavailable,
    Internal,
    InvalidRequest,
    IoFailure,
    NotAllowed,
    PfaError,
    SchemaOutdated,
)
from pfa_core.model.ids import Clock, NewId, new_id, utc_now
from pfa_core.store import audit, embedded, migrations
from pfa_core.store.chain import linked

Result = TypeVar("Result")

_LOGGER = logging.getLogger("pfa")
ATTEMPTS = 5
_REFUSALS = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
)
_BAD_WORD = re.compile(r"invalid (\w+ )?(value|port)")
# A process that is frozen in the middle of a change must not keep what it has locked from all others.
_LET_GO = "SET LOCAL idle_in_transaction_session_timeout = '60s'"
_NO_ADDRESS = "the database address is not valid"
_SERIALIZATION = ("40001", "40P01")
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
    """

    conninfo: str | None = field(repr=False)
    root: Path | None = None
    clock: Clock = utc_now
    new_id: NewId = new_id
    require_schema: bool = True
    _connection: Connection[Any] | None = field(default=None, repr=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def beside(self) -> Database:
        """Another handle on the same database, for a thread of its own; close it."""
        return replace(self, _connection=None, _turn=threading.RLock())

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
                        raise _commit_unknown() from error
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
                    self.transact(lambda conn: audit.deny(conn, denial, str(self.new_id())))
                except Exception as trouble:
                    told = trouble.message if isinstance(trouble, PfaError) else type(trouble)
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
        conn = self._connect_embedded() if self.conninfo is None else _open(self.conninfo)
        try:
            self._settle_schema(conn)
        except BaseException:
            conn.close()
            raise
        return conn

    def _connect_embedded(self) -> Connection[Any]:
        if self.root is None:
            raise Internal("neither an address nor a directory was given")
        try:
            return _open(embedded.conninfo(self.root))
        except psycopg.OperationalError:
            return _open(embedded.ensure(self.root))

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
            except _TryAgain:
                time.sleep(0.02 * 2**number)
        return attempt()


class _TryAgain(DatabaseUnavailable):
    """Nothing was done and doing it again can help."""


def _open(conninfo: str) -> Connection[Any]:
    try:
        conn = _connect(conninfo)
    except (psycopg.ProgrammingError, UnicodeError):
        # Not even under --debug: the driver's text quotes the address, password and all.
        raise ConfigInvalid(_NO_ADDRESS, hint="see PFA_DATABASE_URL") from None
    set_json_loads(jsontext.loads, conn)
    set_json_dumps(jsontext.dumps, conn)
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
    if not str(words.get("port") or "0").replace(",", "").isdigit():
        return "not a valid address"
    shown = {key: str(words[key]) for key in _SHOWN_WORDS if key in words}
    return make_conninfo("", **shown)


def split_password(conninfo: str) -> tuple[str, str]:
    """The address without its password, and the password: every user sees a program's arguments."""
    try:
        words = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    except psycopg.ProgrammingError:
        raise ConfigInvalid(_NO_ADDRESS, hint="see PFA_DATABASE_URL") from None
    password = words.pop("password", "")
    words.pop("sslpassword", None)
    return (make_conninfo("", **words), password) if password else (conninfo, "")


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into ours; their texts, which may show data or SQL, stay behind."""
    try:
        yield
    except psycopg.Error as error:
        ours = translate(error)
        # What is wrong with an address is told with the address in it, password and all.
        raise ours from (None if ours.message == _NO_ADDRESS else error)


def translate(error: psycopg.Error) -> PfaError:
    """The error of ours that tells a caller what to do about one of psycopg's."""
    state = error.sqlstate or ""
    if state in _SERIALIZATION:
        return _TryAgain(
            "the database was too busy: transactions kept getting into each other's way"
        )
    for prefix, make in _BY_SQLSTATE.items():
        if state.startswith(prefix):
            return make(error)
    if isinstance(error, psycopg.OperationalError) and not state:
        return _lost(error)
    return Internal(f"the database refused a statement ({state or type(error).__name__})")


def _lost(error: psycopg.Error) -> PfaError:
    text = str(error) if not error.sqlstate else ""
    if any(words in text for words in _REFUSALS):
        return _no_entry(error)
    if _BAD_WORD.search(text):
        return ConfigInvalid(_NO_ADDRESS, hint="see PFA_DATABASE_URL")
    reason = _reason(text) if text else "the connection broke"
    return _TryAgain(f"the database is not available: {reason}", hint="type: pfa doctor")


def _reason(text: str) -> str:
    """libpq's own first words, without the address; they never hold a password."""
    first = text.strip().splitlines()[0] if text.strip() else "no answer"
    return first.rpartition("failed: ")[2]


def _commit_unknown() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "the connection broke while the change was being committed; it may be stored or not",
        hint="type: pfa status, then repeat the command if the change is not there",
    )


def _outdated(_: psycopg.Error) -> PfaError:
    return SchemaOutdated("the database lacks a part of the schema", hint="type: pfa db upgrade")


def _denied(_: psycopg.Error) -> PfaError:
    return ConfigInvalid("the database role lacks a privilege that pfa needs")


def _full(_: psycopg.Error) -> PfaError:
    return IoFailure("the database server's disk is full; nothing was stored")


def _cancelled(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable("the database cancelled a statement: a time limit, or somebody did")


def _busy(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable("the database has no connection to spare; try again later")


def _read_only(_: psycopg.Error) -> PfaError:
    return DatabaseUnavailable("the database is read-only (a replica?); nothing was stored")


def _no_entry(_: psycopg.Error) -> PfaError:
    return ConfigInvalid("the database refuses this user, password or database name")


_BY_SQLSTATE: dict[str, Callable[[psycopg.Error], PfaError]] = {
    "55P03": _cancelled,
    "57014": _cancelled,
    "08": _lost,
    "57P": _lost,
    "28": _no_entry,
    "3D": _no_entry,
    "42P01": _outdated,
    "42703": _outdated,
    "42883": _outdated,
    "42501": _denied,
    "53100": _full,
    "53": _busy,
    "25006": _read_only,
}
