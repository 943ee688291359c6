"""Inspection of every organization of a database, as its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from pfa_core.admin.consistency import compared
from pfa_core.audit.verify import verified
from pfa_core.model.ids import OrganizationId
from pfa_core.store import transfer, whole_database
from pfa_core.transfer.closing import require_unbound


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedOrganization:
    """An organization in a backup.

    `flaws` of its audit trail, and `differences` of sums and overlays from their records; both 0 where it is whole.
    """

    organization_id: OrganizationId
    records: int
    entries: int
    anchor: str
    flaws: int
    differences: int


def inspect(conn: Connection[Any]) -> Sequence[InspectedOrganization]:
    """Verify trail and sums of every organization in one transaction.

    Raises:
        ConfigInvalid: Row-level security applies to the role.
    """
    require_unbound(conn)
    return [_inspected(conn, code) for code in whole_database.organizations(conn)]


def _inspected(conn: Connection[Any], code: OrganizationId) -> InspectedOrganization:
    trail, sums = verified(conn, code), compared(conn, code)
    of_mirror = (sums.rollup, sums.kept_sums)
    differing = (*of_mirror, sums.overlays, sums.overlay_sums, sums.bad_rows)
    return InspectedOrganization(
        organization_id=code,
        records=transfer.count(conn, code, "pfa_mirror"),
        entries=trail.entries,
        anchor=trail.anchor,
        flaws=trail.flaw_count,
        differences=sum(map(len, differing)),
    )
