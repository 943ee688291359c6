"""The database as a whole: handle, schema version, status, embedded server."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from psycopg import Connection

from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, PfaError, SchemaOutdated
from pfa_core.store import migrations, rls
from pfa_core.store.connection import safe_address, split_password
from pfa_core.store.database import Database
from pfa_core.store.embedded import server
from pfa_core.store.migrations import UpgradeReport


class DatabaseKind(StrEnum):
    """Whose server it is: EMBEDDED is managed by pfa, SERVER by the user."""

    EMBEDDED = "embedded"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """Where the database is and in which state.

    `address` never holds a password; `problem` is empty when the database is usable.
    """

    kind: DatabaseKind
    reachable: bool
    address: str
    server_version: str
    schema_version: int | None
    program_schema: int
    running_pid: int | None
    data_directory: str
    size_bytes: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class RlsStatusReport:
    """Whether row-level security applies to `role`; `reason`: why not.

    `may_create`: the role could create functions that shadow pfa's.
    """

    role: str
    applies: bool
    reason: str
    may_create: bool


def open_database(settings: Settings, *, require_schema: bool = True) -> Database:
    """Make a handle on the database that the settings name; it connects at first use.

    The embedded server is started and migrated on demand; another server never: there a missing or old
    schema is SchemaOutdated.
    """
    return Database(settings.database_url, settings.embedded_dir, require_schema=require_schema)


def upgrade(settings: Settings, *, dry_run: bool = False) -> UpgradeReport:
    """Apply the migrations that the database lacks; with `dry_run` roll them back."""
    with open_database(settings, require_schema=False) as db:
        return db.administer(lambda conn: migrations.upgrade(conn, dry_run=dry_run))


def database_status(settings: Settings) -> DatabaseStatus:
    """Report where the database is and in which state, without starting anything."""
    own = settings.database_url is None
    state = server.status(settings.embedded_dir) if own else None
    address = (
        server.url(settings.embedded_dir) if own else safe_address(settings.database_url or "")
    )
    version, schema, size, problem = "", None, None, ""
    if state is None or state.running:
        try:
            with open_database(settings, require_schema=False) as db:
                version, schema, size = db.administer(_facts)
        except PfaError as error:
            problem = error.message
    else:
        problem = "not running; the next command starts it"
    return DatabaseStatus(
        kind=DatabaseKind.EMBEDDED if own else DatabaseKind.SERVER,
        reachable=bool(version),
        address=address,
        server_version=version or (state.version if state else ""),
        schema_version=schema,
        program_schema=migrations.program_version(),
        running_pid=state.pid if state else None,
        data_directory=str(state.data_directory) if state else "",
        size_bytes=size,
        problem=problem,
    )


def rls_status(settings: Settings) -> RlsStatusReport:
    """Read from the catalog whether row-level security applies to the program's role.

    Raises:
        SchemaOutdated: The database has no schema of pfa.
    """
    with open_database(settings) as db:
        facts = db.read(rls.role)
    if facts is None:
        raise SchemaOutdated("the database has no schema of pfa", hint="type: pfa db upgrade")
    why = ""
    if facts.on_citus:
        why = "Citus supports no such policies; each statement names its organization"
    elif not facts.has_policies:
        why = "the tables have no policies"
    elif facts.is_superuser or facts.bypasses:
        why = "policies do not apply to a superuser"
    elif facts.is_owner:
        why = "policies do not apply to the owner of the tables"
    return RlsStatusReport(facts.name, not why, why, may_create=facts.creates)


def stop_embedded(settings: Settings) -> bool:
    """Stop the embedded server; False when it did not run.

    Raises:
        ConfigInvalid: The settings name another server, which pfa does not manage.
    """
    if settings.database_url is not None:
        raise ConfigInvalid("the database is a server of your own; pfa stops only the embedded one")
    return server.stop(settings.embedded_dir)


def database_url(settings: Settings) -> str:
    """Return an address for psql.

    The embedded server is started and migrated where needed.
    """
    if settings.database_url is not None:
        return settings.database_url
    with open_database(settings) as db:
        db.administer(lambda _: None)
    return server.url(settings.embedded_dir)


def psql_address(settings: Settings) -> tuple[str, str]:
    """Return the address for psql without its password, and the password ('': none)."""
    return split_password(database_url(settings))


def psql_program(settings: Settings) -> Path:
    """Find psql: the embedded server's own for it, else the one on the PATH."""
    found = shutil.which("psql")
    if settings.database_url is not None and found:
        return Path(found)
    return server.program("psql")


def _facts(conn: Connection[Any]) -> tuple[str, int | None, int]:
    size, version = migrations.size_and_version(conn)
    return version, migrations.schema_version(conn), size
