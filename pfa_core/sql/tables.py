"""The tables of the schema: where they lie on several nodes, and which move.

A table that a migration adds is named here: tests compare the lists with the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Placement(StrEnum):
    """How a table is kept on several nodes.

    REFERENCE: whole on each node. DISTRIBUTED: by organization, all rows of one together. LOCAL: on the
    coordinator.
    """

    REFERENCE = "reference"
    DISTRIBUTED = "distributed"
    LOCAL = "local"


# The first of the distributed tables decides where an organization lies, the others lie with it.
PLACEMENTS: Mapping[str, Placement] = {
    "pfa_schema_migration": Placement.REFERENCE,
    "pfa_signing_key": Placement.REFERENCE,
    "pfa_rls_secret": Placement.REFERENCE,
    "pfa_organization": Placement.DISTRIBUTED,
    "pfa_member": Placement.DISTRIBUTED,
    "pfa_token": Placement.DISTRIBUTED,
    "pfa_view": Placement.DISTRIBUTED,
    "pfa_mirror": Placement.DISTRIBUTED,
    "pfa_mirror_history": Placement.DISTRIBUTED,
    "pfa_digest": Placement.DISTRIBUTED,
    "pfa_modification": Placement.DISTRIBUTED,
    "pfa_overlay": Placement.DISTRIBUTED,
    "kpi_rollup": Placement.DISTRIBUTED,
    "kpi_overlay": Placement.DISTRIBUTED,
    "kpi_month": Placement.DISTRIBUTED,
    "kpi_field": Placement.DISTRIBUTED,
    "pfa_sync_log": Placement.DISTRIBUTED,
    "pfa_sync_outcome": Placement.DISTRIBUTED,
    "pfa_sync_conflict": Placement.DISTRIBUTED,
    "pfa_lease": Placement.DISTRIBUTED,
    "pfa_pull_page": Placement.DISTRIBUTED,
    "audit_log": Placement.DISTRIBUTED,
    "audit_link": Placement.DISTRIBUTED,
    "audit_head": Placement.DISTRIBUTED,
    # Only functions of row-level security write it, which distributed tables do not have.
    "audit_expected": Placement.LOCAL,
}


def placed(placement: Placement) -> list[str]:
    """List the tables of a placement, in the order in which they are distributed."""
    return [name for name, found in PLACEMENTS.items() if found is placement]


# Which tables of an organization stay in its database when it is moved, and why.
LEFT_BEHIND: Mapping[str, str] = {
    "audit_expected": "holds what one transaction has to say, and is empty outside of it",
    "pfa_digest": "names transactions of its own database; the next pull makes it anew",
    "pfa_lease": "names processes that run on its own database; none may run while it is exported",
}

# Those that go with it, in the order in which they are written and read: the organization's own row first, so that
# of two who bring the same organization the second one waits for the first.
CARRIED: tuple[str, ...] = tuple(
    name for name in placed(Placement.DISTRIBUTED) if name not in LEFT_BEHIND
)
