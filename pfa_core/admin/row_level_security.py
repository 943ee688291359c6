"""Row-level security of the database that the settings name."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.errors import SchemaOutdated
from pfa_core.store import rls


@dataclass(frozen=True, slots=True, kw_only=True)
class RlsStatusReport:
    """Whether row-level security applies to `role`; `reason`: why not.

    `may_create`: the role could create functions that shadow pfa's. `is_distributed`: the tables are, and have no
    policies whatever the role is.
    """

    role: str
    applies: bool
    reason: str
    may_create: bool
    is_distributed: bool


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
    if facts.is_distributed:
        why = "distributed tables have no policies; the program alone checks membership, rights and organization"
    elif not facts.has_policies:
        why = "the tables have no policies"
    elif facts.is_superuser or facts.bypasses:
        why = "policies do not apply to a superuser"
    elif facts.is_owner:
        why = "policies do not apply to the owner of the tables"
    return RlsStatusReport(
        role=facts.name,
        applies=not why,
        reason=why,
        may_create=facts.creates,
        is_distributed=facts.is_distributed,
    )
