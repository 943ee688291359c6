"""Verify: does what is kept for speed agree with what it is made of?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.model.audit import Action
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.store import audit, leases, members, mirror, overlays
from pfa_core.store.database import Database
from pfa_core.store.reads import drift
from pfa_core.store.reads.drift import RollupDrift


@dataclass(frozen=True, slots=True)
class OverlayDrift:
    """A record that a user is shown wrongly."""

    user_id: str
    pfa_id: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What does not agree: sums of the rollup, overlay rows; and whether it was mended."""

    rollup: list[RollupDrift]
    overlays: list[OverlayDrift]
    repaired: bool

    @property
    def clean(self) -> bool:
        """Whether everything agrees."""
        return not self.rollup and not self.overlays


def verify_database(
    db: Database, principal: Principal, *, repair: bool = False, dry_run: bool = False
) -> VerifyReport:
    """Compare the organization's rollup with its mirror, and every overlay row with its mirror row and
    modifications; with `repair` make them anew. Writers wait while it repairs.

    Raises:
        PermissionDenied: The principal lacks the right `manage_settings`.
    """

    def work(conn: Connection[Any]) -> VerifyReport:
        authorize(conn, principal, Operation.VERIFY_DATABASE)
        code = principal.organization_id
        if repair:
            members.lock_members(conn, code)
            members.lock_mirror(conn, code)
        report = VerifyReport(
            drift.rollup_drift(conn, code), _overlay_drift(conn, principal), repair
        )
        if repair and not report.clean:
            _repair(conn, db, principal, report)
        return report

    return db.transact(work, dry_run=dry_run) if repair else db.read(work)


def _overlay_drift(conn: Connection[Any], principal: Principal) -> list[OverlayDrift]:
    return [
        OverlayDrift(user, pfa_id)
        for user, ids in drift.touched(conn, principal.organization_id).items()
        for pfa_id in drift.overlay_drift(conn, _as(principal, user), ids)
    ]


def _repair(
    conn: Connection[Any], db: Database, principal: Principal, report: VerifyReport
) -> None:
    code = principal.organization_id
    if report.rollup:
        mirror.recompute_rollup(conn, code)
    wrong: dict[str, list[str]] = {}
    for item in report.overlays:
        wrong.setdefault(item.user_id, []).append(item.pfa_id)
    for user, ids in wrong.items():
        overlays.refresh_overlays(conn, _as(principal, user), ids)
    found = {"rollup": len(report.rollup), "overlays": len(report.overlays)}
    entry = audit.Entry(str(db.new_id()), before=found)
    audit.write(conn, code, principal.user_id, Action.REPAIR, leases.clock(conn), [entry])


def _as(principal: Principal, user_id: str) -> Principal:
    return Principal(user_id, principal.organization_id, frozenset(), "")
