"""Handles on the database that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid
from pfa_core.store.database import Database

if TYPE_CHECKING:
    from pfa_core.store.replica import Replica


def open_database(settings: Settings, *, require_schema: bool = True) -> Database:
    """Make a handle on the database that the settings name; it connects at first use.

    The embedded server is started and migrated on demand; another server never: there a missing or old
    schema is SchemaOutdated.
    """
    if settings.database_url is None:
        if settings.database_read_url:
            raise ConfigInvalid(
                f"{settings.read_source} names a replica, and no address of its server is configured",
                hint="set PFA_DATABASE_URL, or type: pfa config set database_url ADDRESS",
            )
        return Database(None, settings.embedded_dir, require_schema=require_schema)
    return Database(
        settings.database_url,
        require_schema=require_schema,
        named_by=settings.database_source,
        pooling=settings.pooling,
        replica=_replica(settings) if require_schema else None,
    )


def _replica(settings: Settings) -> Replica | None:
    if not settings.database_read_url:
        return None
    from pfa_core.store.replica import Replica
    from pfa_core.store.written import Written

    return Replica(
        settings.database_read_url, settings.read_source, written=Written(settings.written_file)
    )
