"""The database as a whole: handle, schema version, row-level security."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_core.config.settings import Settings
from pfa_core.errors import SchemaOutdated
from pfa_core.store import migrations, rls
from pfa_core.store.database import Database
from pfa_core.store.migrations import UpgradeReport


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
    if settings.database_url is None:
        return Database(None, settings.embedded_dir, require_schema=require_schema)
    return Database(
        settings.database_url, require_schema=require_schema, named_by=settings.database_source
    )


def upgrade(settings: Settings, *, dry_run: bool = False) -> UpgradeReport:
    """Apply the migrations that the database lacks; with `dry_run` roll them back."""
    with open_database(settings, require_schema=False) as db:
        return db.administer(lambda conn: migrations.upgrade(conn, dry_run=dry_run))


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
