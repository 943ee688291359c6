"""The file of a backup: its contents, its restore, what is found then."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from pfa_core.admin.server import psql_address
from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidData
from pfa_core.store import migrations, whole_database
from pfa_core.store.database import Database
from pfa_core.store.embedded import server
from pfa_core.transfer.inspection import InspectedOrganization, inspect
from pfa_core.transfer.programs import Program, from_start, run
from pfa_core.transfer.rows import restore_rows

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


def contents_of(settings: Settings, restore: Program, file: BinaryIO) -> Sequence[Sequence[str]]:
    """List what is in a backup: number, two ids, kind, schema and name of each thing."""
    listed = run(restore, ["--list"], settings, "", source=from_start(file))
    return [line.split() for line in listed.splitlines()]


def has_policies(contents: Sequence[Sequence[str]]) -> bool:
    """Return whether a backup is of tables with row-level security.

    Distributed ones have none.
    """
    return any(line[3:5] == ["ROW", "SECURITY"] for line in contents)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Say of pg_restore's refusal what it is about."""
    try:
        yield
    except InvalidData as error:
        raise InvalidData(f"{what}: {error.message}", hint=error.hint) from error


def put(
    db: Database,
    settings: Settings,
    program: Program,
    file: BinaryIO,
    address: tuple[str, str],
    *,
    whole: bool,
) -> None:
    """Restore a backup into a database without tables of pfa, all of it or nothing.

    Args:
        program: pg_restore.
        address: Of the database, without its password, and the password.
        whole: With its definitions, not the rows alone.
    """
    if not whole:
        db.administer(lambda conn: restore_rows(conn, settings, program, file))
        return
    there, password = address
    arguments = [*_RESTORE, f"--dbname={there}"]
    run(program, arguments, settings, password, source=from_start(file))


def looked_through(db: Database, shards: int | None = None) -> Sequence[InspectedOrganization]:
    """Upgrade a restored database, make its statistics, and verify what is in it.

    Args:
        shards: Of each table, where it is to be distributed before that.
    """
    db.administer(migrations.upgrade)
    if shards is not None:
        db.administer(lambda conn: migrations.distribute(conn, shards=shards))
        db.close()  # what it knows of the tables is of those of one machine
    db.administer(whole_database.analyze)
    return db.read(inspect)


def address_of(settings: Settings) -> tuple[str, str]:
    """Return the address without its password, and the password; nothing is migrated."""
    if settings.database_url is None:
        return server.url(settings.embedded_dir), ""
    return psql_address(settings)


def digest(file: BinaryIO) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    whole = sha256()
    descriptor = from_start(file).fileno()
    while block := os.read(descriptor, 1 << 20):
        whole.update(block)
    return whole.hexdigest()
