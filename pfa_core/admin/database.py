"""The database as a whole: open it, bring its schema up to date, say how it is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, PfaError, SchemaOutdated
from pfa_core.store import migrations, rls
from pfa_core.store.database import Database, safe_address, split_password
from pfa_core.store.embedded import server
from pfa_core.store.migrations import UpgradeReport


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """How the database is. `address` never holds a password; `problem` is empty when all is well."""

    kind: str
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
    """Whether the database keeps `role` from rows that no token lets it see; `reason`: why not.
    `may_create`: it could put functions of its own beside pfa's."""

    role: str
    stands: bool
    reason: str
    may_create: bool


def open_database(settings: Settings, *, require_schema: bool = True) -> Database:
    """A handle on the database the settings name; it connects at first use.

    The embedded server is started and migrated on demand; a server of one's own never: there a
    missing or old schema is SchemaOutdated.
    """
    return Database(settings.database_url, settings.embedded_dir, require_schema=require_schema)


def upgrade(settings: Settings, *, dry_run: bool = False) -> UpgradeReport:
    """Apply the migrations that the database lacks; with `dry_run` the same, rolled back."""
    with open_database(settings, require_schema=False) as db:
        return db.administer(lambda conn: migrations.upgrade(conn, dry_run=dry_run))


def database_status(settings: Settings) -> DatabaseStatus:
    """How the database is, without starting anything."""
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
        kind="embedded" if own else "server",
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


def wall_status(settings: Settings) -> RlsStatusReport:
    """Whether row level security holds the program's role off, as far as the catalog tells."""
    with open_database(settings) as db:
        facts = db.read(rls.role)
    if facts is None:
        raise SchemaOutdated("the database has no schema of pfa", hint="type: pfa db upgrade")
    why = ""
    if facts.on_citus:
        why = "Citus takes no such policies; statements keep to their organization by themselves"
    elif not facts.has_policies:
        why = "the tables have no row level security"
    elif facts.is_superuser or facts.bypasses:
        why = "row level security does not bind a superuser"
    elif facts.is_owner:
        why = "row level security does not bind the tables' owner"
    return RlsStatusReport(facts.name, not why, why, may_create=facts.creates)


def stop_embedded(settings: Settings) -> bool:
    """Stop the embedded server; False when it did not run.

    Raises:
        ConfigInvalid: The settings name a server of one's own, which is not ours to stop.
    """
    if settings.database_url is not None:
        raise ConfigInvalid("the database is a server of your own; pfa stops only the embedded one")
    return server.stop(settings.embedded_dir)


def database_url(settings: Settings) -> str:
    """An address that psql takes; starts and migrates the embedded server when it has to."""
    if settings.database_url is not None:
        return settings.database_url
    with open_database(settings) as db:
        db.administer(lambda _: None)
    return server.url(settings.embedded_dir)


def psql_address(settings: Settings) -> tuple[str, str]:
    """The address as psql may be given it, and the password to hand over in PGPASSWORD ('': none)."""
    return split_password(database_url(settings))


def psql_program(settings: Settings) -> Path:
    """The psql to talk to the database with: the embedded server's own, else the one on the PATH."""
    found = shutil.which("psql")
    if settings.database_url is not None and found:
        return Path(found)
    return server.program("psql")


def _facts(conn: Connection[Any]) -> tuple[str, int | None, int]:
    size, version = migrations.size_and_version(conn)
    return version, migrations.schema_version(conn), size
