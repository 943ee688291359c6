"""The server of the database: status, address, psql, end of the embedded one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, PfaError
from pfa_core.model.ids import utc_now
from pfa_core.store import distribution, migrations, schema, statistics, upkeep
from pfa_core.store.connection import safe_address, split_password
from pfa_core.store.embedded import environment, layout, server
from pfa_core.store.errors import translate
from pfa_core.store.upkeep import MonthGrowth


class DatabaseKind(StrEnum):
    """Whose server it is: EMBEDDED is managed by pfa, SERVER by the user."""

    EMBEDDED = "embedded"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """Where the database is and in which state.

    `address` never holds a password; `problem` is empty when the database is usable. Of a distributed database:
    its `workers`, the `shards` of each table, and the size on all nodes. `trail_bytes` and `history_bytes` are
    those of the audit trail and of replaced versions of records, with indexes; `growth` what the last months added
    to both, the present one first: where it is asked for, and the role sees all rows.
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
    workers: int | None
    shards: int | None
    trail_bytes: int | None
    history_bytes: int | None
    growth: Sequence[MonthGrowth]
    problem: str


def database_status(settings: Settings, *, growth: bool = False) -> DatabaseStatus:
    """Report where the database is and in which state, without starting anything.

    Args:
        growth: Count what the last months added to trail and history, at most a million rows of each.
    """
    own = settings.database_url is None
    state = server.status(settings.embedded_dir) if own else None
    address = (
        server.url(settings.embedded_dir) if own else safe_address(settings.database_url or "")
    )
    facts, problem = _Facts("", None, None), ""
    size: tuple[int | None, int | None] = (None, None)
    added: Sequence[MonthGrowth] = ()
    if state is None or state.running:
        try:
            with open_database(settings, require_schema=False) as db:
                facts = db.administer(_facts)
                if growth and facts.schema == schema.program_version() and not facts.workers:
                    size, added = db.administer(_growth)
        except PfaError as error:
            problem = error.message
    else:
        problem = state.problem or "not running; the next command starts it"
    return DatabaseStatus(
        kind=DatabaseKind.EMBEDDED if own else DatabaseKind.SERVER,
        reachable=bool(facts.version),
        address=address,
        server_version=facts.version or (state.version if state else ""),
        schema_version=facts.schema,
        program_schema=schema.program_version(),
        running_pid=state.pid if state else None,
        data_directory=str(state.data_directory) if state else "",
        size_bytes=facts.size,
        workers=facts.workers,
        shards=facts.shards,
        trail_bytes=size[0],
        history_bytes=size[1],
        growth=added,
        problem=problem or facts.problem,
    )


def require_released_schema(settings: Settings) -> None:
    """Refuse a schema of the program's own number that is not the program's own.

    Raises:
        ConfigInvalid: A pfa from before the first release made it.
    """
    with open_database(settings) as db:
        db.administer(migrations.require_released)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDirectories:
    """The data directories of an embedded server.

    `problem`: why the programs of today do not start it, and what to type; `kept`: those of an older PostgreSQL
    that were kept aside, with their sizes in bytes.
    """

    problem: str
    kept: Sequence[tuple[Path, int]]


def data_directories(settings: Settings) -> DataDirectories | None:
    """Look at the data directories of the embedded server.

    None: the database is a server of the user's own.
    """
    if settings.database_url is not None:
        return None
    found = layout.kept_directories(settings.embedded_dir)
    kept = [(path, layout.bytes_of(path)) for path in found]
    return DataDirectories(problem=server.status(settings.embedded_dir).problem, kept=kept)


def uncounted_tables(settings: Settings) -> list[str]:
    """List large tables of which the planner knows nothing.

    After a restored dump it plans for empty ones until an upgrade, a pull or autovacuum has counted them.
    """
    with open_database(settings) as db:
        return db.administer(statistics.unknown)


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
    # As its owner, for whom it keeps connections where all others are taken.
    with open_database(settings) as db, db.administration() as owner:
        owner.administer(lambda _: None)
    return server.url(settings.embedded_dir)


def psql_address(settings: Settings) -> tuple[str, str]:
    """Return the address for psql without its password, and the password ('': none)."""
    return split_password(database_url(settings), settings.database_source)


def psql_program(settings: Settings) -> Path:
    """Find psql: the embedded server's own for it, else the one on the PATH."""
    found = shutil.which("psql")
    if settings.database_url is not None and found:
        return Path(found)
    return server.program("psql")


def psql_environment(settings: Settings, password: str) -> dict[str, str]:
    """Make the environment for psql.

    The caller's PG* variables are for a server of their own; none reaches the embedded one.
    """
    embedded = settings.database_url is None
    kept = {
        name: value
        for name, value in os.environ.items()
        if not (embedded and name.startswith(environment.ALL))
    }
    return kept | ({"PGPASSWORD": password} if password else {})


def _growth(conn: Connection[Any]) -> tuple[tuple[int, int], Sequence[MonthGrowth]]:
    return upkeep.sizes(conn), upkeep.growth(conn, utc_now())


class _Facts(NamedTuple):
    version: str
    schema: int | None
    size: int | None
    workers: int | None = None
    shards: int | None = None
    problem: str = ""


def _facts(conn: Connection[Any]) -> _Facts:
    size, version = schema.size_and_version(conn)
    number = schema.version(conn)
    problem = ""
    if number == schema.program_version():
        try:
            migrations.require_released(conn)
        except ConfigInvalid as error:
            problem = error.message
    if number is None or not distribution.is_distributed(conn):
        return _Facts(version, number, size, problem=problem)
    nodes = distribution.nodes(conn)
    whole = None
    try:
        whole = distribution.size(conn)
    except psycopg.Error as error:
        problem = translate(error).message
    workers = sum(not node.is_coordinator for node in nodes)
    return _Facts(version, number, whole, workers, sum(node.shards for node in nodes), problem)
