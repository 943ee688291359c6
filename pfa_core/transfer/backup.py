"""Backups of a database, and what they are restored into."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO

from psycopg import Connection

from pfa_core.admin.database import open_database
from pfa_core.admin.server import psql_address
from pfa_core.config.settings import Settings
from pfa_core.errors import IllegalTransition, InvalidData, SchemaOutdated
from pfa_core.files.reading import open_file
from pfa_core.files.replacing import replacing
from pfa_core.store import migrations, schema, whole_database
from pfa_core.store.database import Database
from pfa_core.store.embedded import address as embedded_address
from pfa_core.store.embedded import server
from pfa_core.transfer.closing import require_unbound
from pfa_core.transfer.inspection import InspectedOrganization, inspect
from pfa_core.transfer.programs import Program, find, run

_ARCHIVE = b"PGDMP"  # how pg_dump's custom format begins
_ORGANIZATIONS = "pfa_organization"
_RESTORE = ("--no-owner", "--exit-on-error", "--single-transaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """A database in a file, or back from one.

    `verified`: its organizations were looked through after it was restored, a backup into a database of its own.
    """

    path: str
    size_bytes: int
    sha256: str
    server_version: int
    schema_version: int | None
    verified: bool
    organizations: Sequence[InspectedOrganization]

    @property
    def whole(self) -> bool:
        """Return whether no flaw was found."""
        return not any(one.flaws or one.differences for one in self.organizations)


def backup_database(
    settings: Settings, path: str | os.PathLike[str], *, verify: bool = True
) -> BackupResult:
    """Write the whole database into a file, in the custom format of pg_dump.

    The file takes the place of another one at the end, and its owner alone can read it. Before that it is
    restored into a database that is made beside this one for the time, and each organization's trail and sums are
    verified there: what is found is in the result, and the file is there.

    Args:
        verify: False: without that.

    Raises:
        ConfigInvalid: Row-level security applies to the address, it may not make a database, or pg_dump is
            missing or older than the server.
        InvalidData: The backup cannot be restored; the former file is kept.
        IoFailure: The file cannot be written.
    """
    address, password = psql_address(settings)
    with open_database(settings) as db, db.administration() as owner:
        major, number = owner.administer(_facts)
        dump = find("pg_dump", settings, major)
        arguments = ["--format=custom", "--enable-row-security", f"--dbname={address}"]
        with replacing(path, private=True) as file:
            run(dump, arguments, settings, password, target=file)
            found = _verified(settings, owner, file) if verify else []
            return BackupResult(
                path=os.fspath(path),
                size_bytes=os.fstat(file.fileno()).st_size,
                sha256=_digest(file),
                server_version=major,
                schema_version=number,
                verified=verify,
                organizations=found,
            )


def restore_database(
    settings: Settings, path: str | os.PathLike[str], *, dry_run: bool = False
) -> BackupResult:
    """Restore a backup into a database without data, all of it or nothing.

    Then the schema is upgraded where the backup is older, statistics are made, and each organization's trail
    and sums are verified; what is found is in the result. What PEMS has had since the backup the next pull brings.

    Args:
        dry_run: Look at the file and the database; change nothing.

    Raises:
        NotFound: There is no such file.
        InvalidData: It is not a backup of pfa, or cannot be restored; the database is empty.
        IllegalTransition: The database has organizations, or tables that are not of pfa.
        SchemaOutdated: It is of a newer pfa; the database is empty.
        ConfigInvalid: The address is not the owner's, or pg_restore is missing or older than the server.
    """
    if settings.database_url is None:
        server.ensure(settings.embedded_dir)
    with _opened(path) as file, open_database(settings, require_schema=False) as db:
        with db.administration() as owner:
            major = owner.administer(lambda conn: _empty_of(conn, settings))
            restore = find("pg_restore", settings, major, exact=True)
            _require_own(settings, restore, path, file)
            found: Sequence[InspectedOrganization] = []
            if not dry_run:
                found = _restored(settings, owner, restore, path, file)
            number = owner.administer(schema.version)
        return BackupResult(
            path=os.fspath(path),
            size_bytes=os.fstat(file.fileno()).st_size,
            sha256=_digest(file),
            server_version=major,
            schema_version=number,
            verified=not dry_run,
            organizations=found,
        )


def _facts(conn: Connection[Any]) -> tuple[int, int | None]:
    require_unbound(conn)
    return whole_database.major(conn), schema.version(conn)


def _empty_of(conn: Connection[Any], settings: Settings) -> int:
    """Refuse a database with data; return its server's major version."""
    require_unbound(conn)
    hint = "make a new one: createdb -E UTF8 -T template0 NAME; then name it in --database-url"
    if settings.database_url is None:
        hint = f"type: pfa db stop; move {settings.embedded_dir} away; then repeat the command"
    if codes := whole_database.organizations(conn):
        raise IllegalTransition(
            f"the database has organizations: {', '.join(codes[:5])}; nothing was restored",
            hint=hint,
        )
    if tables := whole_database.other_tables(conn):
        raise IllegalTransition(
            f"the database has tables that are not of pfa: {', '.join(tables)}; nothing was restored",
            hint=hint,
        )
    return whole_database.major(conn)


def _verified(
    settings: Settings, owner: Database, file: BinaryIO
) -> Sequence[InspectedOrganization]:
    """Restore a backup into a database for the time, and look through it."""
    address, password = _address(settings)

    def work(conn: Connection[Any]) -> Sequence[InspectedOrganization]:
        restore = find("pg_restore", settings, whole_database.major(conn), exact=True)
        with whole_database.scratch(conn) as name:
            there = f"--dbname={whole_database.address_of(address, name)}"
            with _explained("the backup cannot be restored; a former file is as it was"):
                run(restore, [*_RESTORE, there], settings, password, source=_from_start(file))
            with _database(settings, name) as scratch:
                return _looked_through(scratch)

    return owner.administer(work)


def _require_own(
    settings: Settings, restore: Program, path: str | os.PathLike[str], file: BinaryIO
) -> None:
    """Refuse a backup that cannot be read, or is of a database that is not of pfa."""
    with _explained(f"{os.fspath(path)} cannot be restored; nothing was changed"):
        contents = run(restore, ["--list"], settings, "", source=_from_start(file))
    # Number, two ids, kind, schema and name of each thing; of rows the kind is TABLE DATA.
    words = [line.split() for line in contents.splitlines()]
    tables = [line[5:6] for line in words if line[3:4] == ["TABLE"]]
    rows = [line[6:7] for line in words if line[3:5] == ["TABLE", "DATA"]]
    if [_ORGANIZATIONS] not in tables or [_ORGANIZATIONS] not in rows:
        raise InvalidData(
            f"{os.fspath(path)} is of a database without organizations of pfa; nothing was restored",
            hint="it is made by: pfa db backup FILE, or pg_dump -Fc",
        )


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Say of pg_restore's refusal what it is about."""
    try:
        yield
    except InvalidData as error:
        raise InvalidData(f"{what}: {error.message}", hint=error.hint) from error


def _restored(
    settings: Settings,
    owner: Database,
    restore: Program,
    path: str | os.PathLike[str],
    file: BinaryIO,
) -> Sequence[InspectedOrganization]:
    address, password = _address(settings)

    def prepare(conn: Connection[Any]) -> None:
        whole_database.clear(conn)
        whole_database.ensure_role(conn)

    owner.administer(prepare)
    owner.close()  # what it knows of the tables is of those that were dropped
    there = f"--dbname={address}"
    with _explained(f"{os.fspath(path)} cannot be restored; the database is empty"):
        run(restore, [*_RESTORE, there], settings, password, source=_from_start(file))
    try:
        return _looked_through(owner)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"interrupted, {os.fspath(path)} is restored and not verified;"
            " type: pfa db upgrade, then pfa log verify and pfa db verify"
        )
        raise
    except SchemaOutdated as error:
        owner.administer(whole_database.clear)
        what = error.message.removeprefix("the database")
        raise SchemaOutdated(
            f"the database in {os.fspath(path)}{what}; nothing was restored", hint=error.hint
        ) from error


def _looked_through(db: Database) -> Sequence[InspectedOrganization]:
    """Upgrade a restored database, make its statistics, and verify what is in it."""
    db.administer(migrations.upgrade)
    db.administer(whole_database.analyze)
    return db.read(inspect)


def _database(settings: Settings, name: str) -> Database:
    """Make a handle on another database of the same server."""
    if settings.database_url is None:
        return Database(
            embedded_address.conninfo(settings.embedded_dir, dbname=name), require_schema=False
        )
    return Database(
        whole_database.address_of(settings.database_url, name),
        require_schema=False,
        named_by=settings.database_source,
    )


def _address(settings: Settings) -> tuple[str, str]:
    """Return the address without its password, and the password; nothing is migrated."""
    if settings.database_url is None:
        return server.url(settings.embedded_dir), ""
    return psql_address(settings)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    with open_file(path, buffered=False) as file:
        if file.read(len(_ARCHIVE)) != _ARCHIVE:
            raise InvalidData(
                f"{os.fspath(path)} is not a backup; nothing was restored",
                hint="it is made by: pfa db backup FILE, or pg_dump -Fc",
            )
        yield file


def _from_start(file: BinaryIO) -> BinaryIO:
    """Set a file back to its start: a program that gets it shares the place."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file


def _digest(file: BinaryIO) -> str:
    whole = sha256()
    descriptor = _from_start(file).fileno()
    while block := os.read(descriptor, 1 << 20):
        whole.update(block)
    return whole.hexdigest()
