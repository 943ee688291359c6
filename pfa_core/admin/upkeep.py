"""The upkeep of a database: room, vacuums, age of its transactions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.store import upkeep
from pfa_core.store.upkeep import ServerState, TableState

# Below these a vacuum is not overdue: autovacuum comes after a fifth of a table, and a small one costs nothing.
_MANY_DEAD, _DEAD_SHARE = 20_000, 0.4
_LARGE = 10_000_000  # bytes of a table that should have been vacuumed once


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What the statistics of a database say."""

    server: ServerState
    tables: Sequence[TableState]

    @property
    def excluded(self) -> list[str]:
        """List the tables that autovacuum leaves out."""
        return [one.name for one in self.tables if one.excluded]

    @property
    def overdue(self) -> list[TableState]:
        """List the tables with so many dead rows that autovacuum should have been there."""
        return [
            one
            for one in self.tables
            if one.dead > max(_MANY_DEAD, _DEAD_SHARE * (one.rows + one.dead))
        ]

    @property
    def untouched(self) -> list[str]:
        """List large tables that were never vacuumed or never analyzed."""
        return [
            one.name
            for one in self.tables
            if one.bytes > _LARGE and not (one.vacuumed and one.analyzed)
        ]

    @property
    def trail_entries(self) -> int:
        """Return about how many entries the audit trail has, of all organizations."""
        return next((one.rows for one in self.tables if one.name == "audit_log"), 0)

    @property
    def is_old(self) -> bool:
        """Return whether autovacuum should have frozen older transactions long ago."""
        return self.server.age > 2 * max(self.server.freeze_at, 200_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRoom:
    """The file system of the embedded server's directory, in bytes."""

    path: str
    free: int
    total: int


def upkeep_of(settings: Settings) -> Upkeep:
    """Read the statistics of the database; it has to be reachable."""
    with open_database(settings) as db:
        return db.administer(_read)


def _read(conn: Connection[Any]) -> Upkeep:
    return Upkeep(server=upkeep.server(conn), tables=upkeep.tables(conn))


def disk_room(settings: Settings) -> DiskRoom | None:
    """Measure the file system of the embedded server's directory.

    None: the server is another one.
    """
    if settings.database_url is not None:
        return None
    path = Path(settings.embedded_dir)
    while not path.exists() and path != path.parent:
        path = path.parent
    found = shutil.disk_usage(path)
    return DiskRoom(path=str(path), free=found.free, total=found.total)
