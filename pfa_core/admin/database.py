"""The database as a whole: handle, schema version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfa_core.config.settings import Settings
from pfa_core.store.database import Database

if TYPE_CHECKING:
    from pfa_core.store.migrations import UpgradeReport


def open_database(settings: Settings, *, require_schema: bool = True) -> Database:
    """Make a handle on the database that the settings name; it connects at first use.

    The embedded server is started and migrated on demand; another server never: there a missing or old
    schema is SchemaOutdated.
    """
    if settings.database_url is None:
        return Database(None, settings.embedded_dir, require_schema=require_schema)
    return Database(
        settings.database_url,
        require_schema=require_schema,
        named_by=settings.database_source,
        pooling=settings.pooling,
    )


def upgrade(settings: Settings, *, dry_run: bool = False) -> UpgradeReport:
    """Apply the migrations that the database lacks; with `dry_run` roll them back."""
    from pfa_core.store import migrations

    with open_database(settings, require_schema=False) as db:
        return db.administer(lambda conn: migrations.upgrade(conn, dry_run=dry_run))
