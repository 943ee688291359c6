"""Numbered migrations of the schema.

They are applied in order, with their checksums recorded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from psycopg import Connection, Rollback, errors

from pfa_core import sql
from pfa_core.errors import ConfigInvalid
from pfa_core.sql.script import statements_of
from pfa_core.store import distribution, prerelease, schema, session, statistics
from pfa_core.store.errors import locked
from pfa_core.store.schema import program_version, require_current
from pfa_core.store.silence import Holder, holder_of_key

# Any number that no other program locks in the same database.
_LOCK = 7_245_001
LOCK_SECONDS, _NOTICE_SECONDS = 60.0, 2.0
# Who waits asks ever more seldom: a hundred at once would keep the server from the upgrade itself.
_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.05, 0.5, 1.2
_LOGGER = logging.getLogger("pfa")

_SQL = sql.statements("schema")


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """The schema's number before and after, and the migrations applied in between."""

    before: int
    after: int
    applied: tuple[str, ...]


@dataclass(slots=True)
class Attempts:
    """What an upgrade did on connections that broke; it goes on over the next one.

    `before`: the schema's number that the first one found; `begun`: the migrations that may have been committed.
    """

    before: int | None = None
    begun: list[str] = field(default_factory=list)


def upgrade(
    conn: Connection, *, dry_run: bool = False, attempts: Attempts | None = None
) -> UpgradeReport:
    """Bring the schema up to the program's own; with `dry_run` the same, rolled back.

    Each migration is a transaction, which waits for the writing ones that are under way and keeps others from
    beginning. One that was interrupted leaves nothing of itself; the next upgrade goes on there. A database from
    before the first release is converted in place. Behind a pooler, where a session's lock would stay with one that
    others get, all is one transaction, which ends with its lock.

    Args:
        attempts: What the same upgrade did before its connection broke, for its report.

    Raises:
        SchemaOutdated: The database is newer than the program, or its history from before the first release
            is incomplete.
        Locked: Another session holds the lock of upgrades, or a transaction under way does not end.
        ConfigInvalid: A migration was changed after it had been applied here, or the database does
            not keep text as UTF-8.
    """
    attempts = attempts or Attempts()
    if session.is_pooled(conn):
        return _upgrade_whole(conn, attempts, dry_run=dry_run)
    _lock(conn)
    try:
        if dry_run:
            return _upgrade_whole(conn, attempts, dry_run=True, lock=False)
        return _upgrade_locked(conn, attempts)
    finally:
        if not conn.closed:  # what broke it is the error to report
            conn.execute(_SQL["unlock"], {"key": _LOCK})


def upgrade_with_others(conn: Connection) -> int | None:
    """Upgrade, unless another session does so meanwhile.

    Of many processes that find an old schema at once, one upgrades it, and the others go on as soon as it is done
    instead of making sure of it one after the other.

    Returns:
        The schema's number afterwards.

    Raises:
        SchemaOutdated, Locked, ConfigInvalid: As `upgrade`.
    """

    def is_done() -> bool:
        return schema.version(conn) == program_version()

    if not _lock(conn, done=is_done):
        return program_version()
    try:
        # A session may take its lock more than once.
        return upgrade(conn).after
    finally:
        if not conn.closed:
            conn.execute(_SQL["unlock"], {"key": _LOCK})


def _upgrade_whole(
    conn: Connection, attempts: Attempts, *, dry_run: bool, lock: bool = True
) -> UpgradeReport:
    """Upgrade in one transaction; with `lock` it holds the lock of upgrades."""
    with conn.transaction() as whole:
        if lock:
            _lock(conn, "lock_within")
        report = _upgrade_locked(conn, attempts)
        if dry_run:
            raise Rollback(whole)
    return report


def make(conn: Connection, version: int) -> None:
    """Make the schema of a version, within the caller's transaction.

    There are no tables of pfa.

    Raises:
        ConfigInvalid: The database does not keep text as UTF-8.
        Locked: Another session holds the lock of upgrades.
    """
    _lock(conn, "lock_within")
    _require_utf8(conn)
    conn.execute(_SQL["create"])
    for number, name, text in sql.migrations():
        if number <= version:
            _apply(conn, number, name, text, Attempts(), distributed=False)


def distribute(
    conn: Connection, *, shards: int | None = None, dry_run: bool = False
) -> distribution.DistributionReport:
    """Distribute the tables over the nodes while no upgrade is under way.

    With `dry_run` it is rolled back.

    Args:
        shards: How many of each table; None: as many as citus.shard_count says.

    Raises:
        ConfigInvalid: It is not possible here.
        Locked: Another session holds the lock of upgrades.
    """
    with conn.transaction() as whole:
        _lock(conn, "lock_within")
        report = distribution.distribute(conn, shards=shards)
        if dry_run:
            raise Rollback(whole)
    return report


def allow_app_login(conn: Connection) -> None:
    """Allow the program's role to log in, on a server reached by its own socket alone."""

    def is_done() -> bool:
        return conn.execute(_SQL["app_may_log_in"]).fetchone() == (True,)

    # Two sessions that alter one role at once fail: "tuple concurrently updated".
    if not _lock(conn, done=is_done):
        return
    try:
        conn.execute(_SQL["allow_app_login"])
    finally:
        conn.execute(_SQL["unlock"], {"key": _LOCK})


def _lock(
    conn: Connection, statement: str = "lock", *, done: Callable[[], bool] | None = None
) -> bool:
    """Take the lock of upgrades, after the one that is under way.

    Args:
        statement: Whose lock it is: the session's, or with `lock_within` the transaction's.
        done: Whether nothing is left to do, as when another session has done it meanwhile.

    Returns:
        False: nothing is left to do, and it was not taken.

    Raises:
        Locked: Another session holds it for too long.
    """
    begun, noticed, pause = time.monotonic(), False, _PAUSE
    while True:
        if done and done():
            return False
        if conn.execute(_SQL[statement], {"key": _LOCK}).fetchone() == (True,):
            return True
        waited = time.monotonic() - begun
        if waited > LOCK_SECONDS:
            raise locked(holder_of_key(conn, _LOCK) or "")
        if waited > _NOTICE_SECONDS and not noticed:
            noticed = True
            _LOGGER.warning(
                "waiting for another upgrade: %s", holder_of_key(conn, _LOCK) or "it ended"
            )
        time.sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _require_utf8(conn: Connection) -> None:
    encoding = conn.execute(_SQL["encoding"]).fetchone()
    if not encoding or encoding[0] != "UTF8":
        raise ConfigInvalid("the database must keep text as UTF8", hint="createdb -E UTF8 …")


def _upgrade_locked(conn: Connection, attempts: Attempts) -> UpgradeReport:
    _require_utf8(conn)
    conn.execute(_SQL["create"])
    applied = dict(conn.execute(_SQL["applied"]).fetchall())
    old = prerelease.is_recorded(applied)
    before = 0 if old else max(applied, default=0)
    if before > program_version():
        require_current(before)
    first = attempts.before = before if attempts.before is None else attempts.before
    done = [
        name
        for version, name, _ in sql.migrations()
        if name in attempts.begun and version in applied and not old
    ]
    if old:
        applied = _convert(conn, attempts)
        done = [sql.migrations()[0][1]]
    distributed = distribution.is_distributed(conn)
    new = [
        _apply(conn, version, name, text, attempts, distributed=distributed)
        for version, name, text in sql.migrations()
        if not _is_applied(applied, version, name, text)
    ]
    statistics.renew_unknown(conn)
    return UpgradeReport(first, program_version(), (*done, *new))


def require_released(conn: Connection) -> None:
    """Refuse a schema that other migrations made than the program's of its number.

    Raises:
        ConfigInvalid: A pfa from before the first release made it, of an earlier text.
    """
    applied = dict(conn.execute(_SQL["applied"]).fetchall())
    for version, name, text in sql.migrations():
        _is_applied(applied, version, name, text)


def _convert(conn: Connection, attempts: Attempts) -> dict[int, str]:
    """Convert a database from before the first release.

    The first migration is recorded as applied.
    """
    version, name, text = sql.migrations()[0]
    with conn.transaction():
        _hold(conn)
        prerelease.convert(conn, text)
        conn.execute(_SQL["forget"])
        _record(conn, version, name, text)
        attempts.begun.append(name)
    return {version: _checksum(text)}


def _hold(conn: Connection) -> None:
    """Wait for the writing transactions under way, and keep others from beginning.

    They wait until this one ends.

    Raises:
        Locked: One of them does not end.
    """
    begun, noticed = time.monotonic(), False
    while True:
        try:
            with conn.transaction():
                conn.execute(_SQL["hold"])
        except errors.LockNotAvailable:
            row = conn.execute(_SQL["writer"]).fetchone()
            holder = Holder(*row) if row else "it ended"
            if not noticed:
                noticed = True
                _LOGGER.warning("waiting for a transaction under way: %s", holder)
            if time.monotonic() - begun > LOCK_SECONDS:
                raise locked(row and holder) from None
        else:
            return


def _is_applied(applied: dict[int, str], version: int, name: str, text: str) -> bool:
    if version not in applied:
        return False
    if applied[version] != _checksum(text):
        raise ConfigInvalid(
            f"migration {name} is not the one that was applied to this database: an unreleased pfa made it",
            hint="with the pfa that made it, type: pfa list --to records.csv; then name an empty database",
        )
    return True


def _apply(
    conn: Connection,
    version: int,
    name: str,
    text: sql.LiteralString,
    attempts: Attempts,
    *,
    distributed: bool,
) -> str:
    with conn.transaction():
        _hold(conn)
        try:
            if distributed:
                _execute_on_all_nodes(conn, text)
            else:
                conn.execute(text)
        except errors.InsufficientPrivilege as error:
            if "CREATE ROLE" not in text or _has_role(conn):
                raise
            raise ConfigInvalid(
                "the role pfa_app, which pfa works as, does not exist, and this role may not create it",
                hint="an administrator types: CREATE ROLE pfa_app; then type again: pfa db upgrade",
            ) from error
        except (errors.FeatureNotSupported, errors.UndefinedFile) as error:
            if "CREATE EXTENSION" not in text:
                raise
            raise ConfigInvalid(
                f"the database server lacks an extension that migration {name} needs",
                hint="install PostgreSQL's contrib package beside the server, then type: pfa db upgrade",
            ) from error
        _record(conn, version, name, text)
        attempts.begun.append(name)
    return name


def _execute_on_all_nodes(conn: Connection, text: sql.LiteralString) -> None:
    """Execute a migration on distributed tables, and distribute those it makes.

    Citus takes the statements one by one.
    """
    distribution.use_one_connection(conn)
    for statement in statements_of(text):
        conn.execute(statement)
    distribution.settle(conn)


def _record(conn: Connection, version: int, name: str, text: str) -> None:
    values = {"version": version, "name": name, "checksum": _checksum(text)}
    conn.execute(_SQL["record"], values)


def _has_role(conn: Connection) -> bool:
    row = conn.execute(_SQL["has_role"]).fetchone()
    return bool(row and row[0])


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()
