"""Backups of a database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pfa_core.admin.database import open_database
from pfa_core.admin.server import psql_address
from pfa_core.config.settings import Settings
from pfa_core.files.replacing import PRIVATE, replacing
from pfa_core.store import distribution, schema, whole_database
from pfa_core.store.database import Database
from pfa_core.store.embedded import address as embedded_address
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
from pfa_core.transfer.programs import find, run

# By one connection a coordinator reads what a worker has in one snapshot; by several, the tables of an organization
# would be of different moments.
_ONE_SNAPSHOT = "-c citus.max_adaptive_executor_pool_size=1"


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
        major, number, is_distributed = owner.administer(_facts)
        dump = find("pg_dump", settings, major)
        if is_distributed:
            address = _with_option(address, _ONE_SNAPSHOT)
        arguments = ["--format=custom", "--enable-row-security", f"--dbname={address}"]
        with replacing(path, mode=PRIVATE) as file:
            run(dump, arguments, settings, password, target=file)
            found = _verified(settings, owner, file, dump.major) if verify else []
            return BackupResult(
                path=os.fspath(path),
                size_bytes=os.fstat(file.fileno()).st_size,
                sha256=digest(file),
                server_version=major,
                schema_version=number,
                verified=verify,
                organizations=found,
            )


def _facts(conn: Connection[Any]) -> tuple[int, int | None, bool]:
    require_unbound(conn)
    spread = distribution.is_distributed(conn)
    return whole_database.major(conn), schema.version(conn), spread


def _with_option(address: str, option: str) -> str:
    """Return an address whose sessions begin with one more setting."""
    before = str(conninfo_to_dict(address).get("options") or "")
    return make_conninfo(address, options=f"{before} {option}".strip())


def _verified(
    settings: Settings, owner: Database, file: BinaryIO, written_by: int
) -> Sequence[InspectedOrganization]:
    """Restore a backup into a database for the time, and look through it.

    Args:
        written_by: The version of the pg_dump that wrote it; an older pg_restore may not read it.
    """
    address, password = address_of(settings)

    def work(conn: Connection[Any]) -> Sequence[InspectedOrganization]:
        least = max(whole_database.major(conn), written_by)
        restore = find("pg_restore", settings, least)
        with whole_database.scratch(conn) as name:
            there = whole_database.address_of(address, name), password
            with _database(settings, name) as scratch:
                with explained("the backup cannot be restored; a former file is as it was"):
                    whole = has_policies(contents_of(settings, restore, file))
                    put(scratch, settings, restore, file, there, whole=whole)
                return looked_through(scratch)

    return owner.administer(work)


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
