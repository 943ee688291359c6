"""Comparison of derived data with its sources, and of rows with their checks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from psycopg import Connection

from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId, PfaId, UserId
from pfa_core.model.principal import NO_TOKEN, Principal
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, writes
from pfa_core.store import audit, leases, members, mirror, overlay_sums, overlays
from pfa_core.store.database import Database
from pfa_core.store.reads import drift
from pfa_core.store.reads.drift import BadRow, DroppedRow, KeptDrift, RollupDrift, SumsDrift


@dataclass(frozen=True, slots=True)
class OverlayDrift:
    """A record whose stored overlay differs from the user's modifications."""

    user_id: UserId
    pfa_id: PfaId


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The sums and overlay rows that differ, and rows that break a check.

    `kept_sums` are those by month and by field, `overlay_sums` those of users' overlays.

    `repaired`: what differs was repaired, and `dropped` rows that break a check were deleted, with what they
    held in the audit trail. `bad_rows` are still there.
    """

    rollup: list[RollupDrift]
    overlays: list[OverlayDrift]
    overlay_sums: list[SumsDrift]
    repaired: bool
    kept_sums: list[KeptDrift] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)
    dropped: int = 0

    @property
    def clean(self) -> bool:
        """Return whether no difference was found."""
        sums = self.rollup or self.kept_sums or self.overlay_sums
        return not (sums or self.overlays or self.bad_rows or self.dropped)


def verify_database(
    db: Database, principal: Principal, *, repair: bool = False, dry_run: bool = False
) -> VerifyReport:
    """Compare the organization's sums and overlays with mirror and modifications.

    With `repair` what differs is computed again, and rows that break a check are deleted where something else
    replaces them; writers wait meanwhile.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings`.
    """
    return _repair(db, principal, dry_run=dry_run) if repair else _compare(db, principal)


@reads(Operation.FIND_BAD_ROWS)
def find_bad_rows(tx: Tx) -> list[BadRow]:
    """List rows that break a check of their table, at most a thousand of each.

    None does, unless it is older than the check, or the check was dropped.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings`.
    """
    return drift.bad_rows(tx.conn, tx.organization_id)


@reads(Operation.VERIFY_DATABASE)
def _compare(tx: Tx) -> VerifyReport:
    return compared(tx.conn, tx.organization_id)


@writes(Operation.VERIFY_DATABASE)
def _repair(tx: Tx, *, dry_run: bool) -> VerifyReport:
    members.lock_members(tx.conn, tx.organization_id)
    members.lock_mirror(tx.conn, tx.organization_id)
    dropped = drift.drop_bad_rows(tx.conn, tx.organization_id)
    report = compared(tx.conn, tx.organization_id)
    report = replace(report, repaired=True, dropped=len(dropped))
    of_mirror = len(report.rollup) + len(report.kept_sums)
    if of_mirror or not mirror.keeps_sums(tx.conn, tx.organization_id):
        mirror.recompute_rollup(tx.conn, tx.organization_id)
    by_user = _by_user(report.overlays)
    for user, ids in by_user.items():
        overlays.refresh_overlays(tx.conn, _as(tx.organization_id, user), ids)
    differing = by_user.keys() | {item.user_id for item in report.overlay_sums}
    if differing:
        overlay_sums.recompute(tx.conn, tx.organization_id, differing)
    if of_mirror or differing or dropped:
        found = {
            "rollup": of_mirror,
            "overlays": len(report.overlays),
            "overlaySums": len(report.overlay_sums),
        }
        entries = [audit.Entry(tx.new_id(), before=found), *(_kept(tx, row) for row in dropped)]
        tx.audit(Action.REPAIR, entries, at=leases.clock(tx.conn))
    return report


def _kept(tx: Tx, row: DroppedRow) -> audit.Entry:
    """Make the entry that keeps what a deleted row held."""
    before = {"table": row.table, "columns": ", ".join(row.columns), "row": row.content}
    return audit.Entry(tx.new_id(), row.pfa_id, before=before)


def compared(conn: Connection[Any], organization_id: OrganizationId) -> VerifyReport:
    """Compare the organization's sums and overlays within an authorized transaction."""
    return VerifyReport(
        rollup=drift.rollup_drift(conn, organization_id),
        kept_sums=drift.kept_drift(conn, organization_id),
        overlays=_overlay_drift(conn, organization_id),
        overlay_sums=drift.sums_drift(conn, organization_id),
        repaired=False,
        bad_rows=drift.bad_rows(conn, organization_id),
    )


def _overlay_drift(conn: Connection[Any], organization_id: OrganizationId) -> list[OverlayDrift]:
    return [
        OverlayDrift(user, pfa_id)
        for user, ids in drift.touched(conn, organization_id).items()
        for pfa_id in drift.overlay_drift(conn, _as(organization_id, user), ids)
    ]


def _by_user(items: list[OverlayDrift]) -> dict[UserId, list[PfaId]]:
    found: dict[UserId, list[PfaId]] = {}
    for item in items:
        found.setdefault(item.user_id, []).append(item.pfa_id)
    return found


def _as(organization_id: OrganizationId, user_id: UserId) -> Principal:
    return Principal(
        user_id=user_id,
        organization_id=organization_id,
        rights=frozenset(),
        token_id=NO_TOKEN,
    )
