"""A backup on its way into a database without data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from psycopg import Connection

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.errors import IllegalTransition, InvalidData, SchemaOutdated
from pfa_core.files.reading import open_file
from pfa_core.model import shell
from pfa_core.store import distribution, schema, whole_database
from pfa_core.store.database import Database
from pfa_core.store.embedded import server
from pfa_core.transfer.archive import (
    BackupResult,
    address_of,
    contents_of,
    digest,
    explained,
    has_policies,
    looked_through,
    put,
)
from pfa_core.transfer.closing import require_unbound
from pfa_core.transfer.inspection import InspectedOrganization
from pfa_core.transfer.programs import Program, find
from pfa_core.transfer.rows import clear

_ARCHIVE = b"PGDMP"  # how pg_dump's custom format begins
_ORGANIZATIONS = "pfa_organization"


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
            target = owner.administer(lambda conn: _empty_of(conn, settings))
            restore = find("pg_restore", settings, target.major)
            whole = _require_own(settings, restore, path, file)
            found: Sequence[InspectedOrganization] = []
            if not dry_run:
                found = _restored(
                    settings, owner, restore, path, file, whole=whole, shards=target.shards
                )
            number = owner.administer(schema.version)
        return BackupResult(
            path=os.fspath(path),
            size_bytes=os.fstat(file.fileno()).st_size,
            sha256=digest(file),
            server_version=target.major,
            schema_version=number,
            verified=not dry_run,
            organizations=found,
        )


class _Target(NamedTuple):
    """What a backup is restored into.

    `major`: the server's version; `shards` of each table where they are distributed.
    """

    major: int
    shards: int | None


def _empty_of(conn: Connection[Any], settings: Settings) -> _Target:
    """Refuse a database with data."""
    require_unbound(conn)
    hint = "make a new one: createdb -E UTF8 -T template0 NAME; then name it in --database-url"
    if settings.database_url is None:
        hint = f"type: pfa db stop; move {shell.file(settings.embedded_dir)} away; then repeat the command"
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
    is_distributed = distribution.is_distributed(conn)
    shards = sum(node.shards for node in distribution.nodes(conn)) if is_distributed else None
    return _Target(whole_database.major(conn), shards)


def _require_own(
    settings: Settings, restore: Program, path: str | os.PathLike[str], file: BinaryIO
) -> bool:
    """Refuse a backup that cannot be read, or is of a database that is not of pfa.

    Returns:
        Whether its tables have row-level security.
    """
    with explained(f"{os.fspath(path)} cannot be restored; nothing was changed"):
        contents = contents_of(settings, restore, file)
    tables = [line[5:6] for line in contents if line[3:4] == ["TABLE"]]
    rows = [line[6:7] for line in contents if line[3:5] == ["TABLE", "DATA"]]
    if [_ORGANIZATIONS] not in tables or [_ORGANIZATIONS] not in rows:
        raise InvalidData(
            f"{os.fspath(path)} is of a database without organizations of pfa; nothing was restored",
            hint="it is made by: pfa db backup FILE, or pg_dump -Fc",
        )
    return has_policies(contents)


def _restored(
    settings: Settings,
    owner: Database,
    restore: Program,
    path: str | os.PathLike[str],
    file: BinaryIO,
    *,
    whole: bool,
    shards: int | None,
) -> Sequence[InspectedOrganization]:
    """Restore a backup into an empty database, and look through it.

    Args:
        whole: With its definitions, not the rows alone.
        shards: Of each table, where the database was distributed: it is so again.
    """

    def prepare(conn: Connection[Any]) -> None:
        clear(conn)
        whole_database.ensure_role(conn)

    owner.administer(prepare)
    owner.close()  # what it knows of the tables is of those that were dropped
    try:
        with explained(f"{os.fspath(path)} cannot be restored; the database is empty"):
            put(owner, settings, restore, file, address_of(settings), whole=whole)
        with _noted(path):
            return looked_through(owner, shards)
    except SchemaOutdated as error:
        owner.administer(clear)
        what = error.message.removeprefix("the database")
        raise SchemaOutdated(
            f"the database in {os.fspath(path)}{what}; nothing was restored", hint=error.hint
        ) from error


@contextmanager
def _noted(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of an interrupt that the backup is restored."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"interrupted, {os.fspath(path)} is restored and not verified;"
            " type: pfa db upgrade, then pfa log verify and pfa db verify"
        )
        raise


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    with open_file(path, buffered=False) as file:
        if file.read(len(_ARCHIVE)) != _ARCHIVE:
            raise InvalidData(
                f"{os.fspath(path)} is not a backup; nothing was restored",
                hint="it is made by: pfa db backup FILE, or pg_dump -Fc",
            )
        yield file
