"""Comparison of the rollup and the overlays with what they are computed from."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_core.model.audit import Action
from pfa_core.model.ids import PfaId, UserId
from pfa_core.model.principal import NO_TOKEN, Principal
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, writes
from pfa_core.store import audit, leases, members, mirror, overlays
from pfa_core.store.database import Database
from pfa_core.store.reads import drift
from pfa_core.store.reads.drift import RollupDrift


@dataclass(frozen=True, slots=True)
class OverlayDrift:
    """A record whose stored overlay differs from the user's modifications."""

    user_id: UserId
    pfa_id: PfaId


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The differing sums of the rollup and overlay rows.

    `repaired`: they were repaired.
    """

    rollup: list[RollupDrift]
    overlays: list[OverlayDrift]
    repaired: bool

    @property
    def clean(self) -> bool:
        """Return whether no difference was found."""
        return not self.rollup and not self.overlays


def verify_database(
    db: Database, principal: Principal, *, repair: bool = False, dry_run: bool = False
) -> VerifyReport:
    """Compare the organization's rollup and overlays with mirror and modifications.

    With `repair` what differs is computed again; writers wait meanwhile.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings`.
    """
    return _repair(db, principal, dry_run=dry_run) if repair else _compare(db, principal)


@reads(Operation.VERIFY_DATABASE)
def _compare(tx: Tx) -> VerifyReport:
    return _compared(tx, repair=False)


@writes(Operation.VERIFY_DATABASE)
def _repair(tx: Tx, *, dry_run: bool) -> VerifyReport:
    members.lock_members(tx.conn, tx.organization_id)
    members.lock_mirror(tx.conn, tx.organization_id)
    report = _compared(tx, repair=True)
    if report.rollup:
        mirror.recompute_rollup(tx.conn, tx.organization_id)
    for user, ids in _by_user(report.overlays).items():
        overlays.refresh_overlays(tx.conn, _as(tx.principal, user), ids)
    if not report.clean:
        found = {"rollup": len(report.rollup), "overlays": len(report.overlays)}
        at = leases.clock(tx.conn)
        tx.audit(Action.REPAIR, [audit.Entry(tx.new_id(), before=found)], at=at)
    return report


def _compared(tx: Tx, *, repair: bool) -> VerifyReport:
    return VerifyReport(drift.rollup_drift(tx.conn, tx.organization_id), _overlay_drift(tx), repair)


def _overlay_drift(tx: Tx) -> list[OverlayDrift]:
    return [
        OverlayDrift(user, pfa_id)
        for user, ids in drift.touched(tx.conn, tx.organization_id).items()
        for pfa_id in drift.overlay_drift(tx.conn, _as(tx.principal, user), ids)
    ]


def _by_user(items: list[OverlayDrift]) -> dict[UserId, list[PfaId]]:
    found: dict[UserId, list[PfaId]] = {}
    for item in items:
        found.setdefault(item.user_id, []).append(item.pfa_id)
    return found


def _as(principal: Principal, user_id: UserId) -> Principal:
    return Principal(
        user_id=user_id,
        organization_id=principal.organization_id,
        rights=frozenset(),
        token_id=NO_TOKEN,
    )
