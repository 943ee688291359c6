"""Drafts committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize, may_write_all, require_fields
from pfa_core.drafts.rebase import RecordConflict, Review, review
from pfa_core.drafts.selection import (
    Selection,
    chosen,
    describe,
    modification_ids,
    require_selection,
)
from pfa_core.errors import (
    Fault,
    FaultCode,
    NoDrafts,
    VersionConflict,
)
from pfa_core.model.audit import Action
from pfa_core.model.ownership import Ownership
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.store import audit, leases, modifications, overlays
from pfa_core.store.database import Database
from pfa_core.store.modifications import Commitment, Mark, ModificationRow


@dataclass(frozen=True, slots=True)
class Committed:
    """A modification after commit or uncommit."""

    pfa_id: str
    modification_id: str
    version: int


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What was committed, in PFA id order; what stayed behind in conflict (only with `partial`); how
    many modifications of the session had been committed before; the PFA ids whose drafts went
    because PEMS has all their values by now; and every reason why a draft stayed behind."""

    session_id: str | None
    committed: list[Committed]
    conflicts: list[RecordConflict]
    already_committed: int
    settled: list[str]
    problems: list[Fault]


def commit(
    db: Database,
    principal: Principal,
    selection: Selection,
    *,
    partial: bool = False,
    ownership: Ownership | None = None,
    dry_run: bool = False,
) -> CommitResult:
    """Commit the principal's drafts, all or none.

    Committed modifications stay visible in the live merge and wait for the next push. A field
    where PEMS already has the drafted value drops out; a draft of which nothing is left goes.
    Committing a session that is committed already does nothing and says so.

    Args:
        partial: Commit the others when some are in conflict or invalid by now.
        ownership: Who has the last word on a field that PEMS changed too; without, a person is asked.

    Raises:
        NoDrafts: Nothing of the principal's matches the selection.
        VersionConflict: A draft was saved again since the caller read it.
        BaselineConflict: PEMS changed a field that a draft changes too.
        InvalidData: The baseline moved so that a merged record breaks a rule.
        PermissionDenied: A draft changes a field that the principal may not write (any more).
    """
    require_selection(selection)

    def work(conn: Connection[Any]) -> CommitResult:
        member = authorize(conn, principal, Operation.COMMIT, writing=True)
        drafts = modifications.drafts(conn, principal, **chosen(conn, principal, selection))
        if not drafts:
            return _nothing_to_commit(conn, principal, selection)
        _require_versions(drafts, selection)
        if not may_write_all(principal, member):
            fields = modifications.fields_of(conn, principal, modification_ids(drafts))
            require_fields(principal, member, fields, Operation.COMMIT)
        as_drafted = modifications.up_to_date(conn, principal, drafts)
        unmoved = [draft for draft in drafts if draft.modification_id in as_drafted]
        moved = [draft for draft in drafts if draft.modification_id not in as_drafted]
        rows = modifications.by_id(conn, principal, modification_ids(moved))
        found = review(conn, principal, rows, ownership or Ownership())
        if not partial:
            found.raise_if_bad(len(drafts))
        return _commit(conn, db, principal, unmoved, found, selection)

    return db.transact(work, dry_run=dry_run)


def _commit(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    unmoved: Sequence[Mark],
    found: Review,
    selection: Selection,
) -> CommitResult:
    # The database's clock: two computers of one user must not turn the order of commitment round.
    at = leases.clock(conn)
    modifications.commit_up_to_date(conn, principal, unmoved, at)
    commitments = [
        Commitment(draft.modification_id, delta, draft.version) for draft, delta in found.good
    ]
    modifications.commit_drafts(conn, principal, commitments, at)
    done: list[Mark | ModificationRow] = [*unmoved, *(draft for draft, _ in found.good)]
    done.sort(key=lambda draft: draft.pfa_id)
    audit.write_of(conn, principal, Action.COMMIT, at, modification_ids(done), db.new_id)
    drop_drafts(conn, db, principal, Action.SETTLE, modification_ids(found.settled), at)
    changed = [draft.pfa_id for draft, delta in found.good if delta != draft.delta]
    settled = [draft.pfa_id for draft in found.settled]
    overlays.refresh_overlays(conn, principal, [*changed, *settled])
    return CommitResult(
        selection.session_id, raised(done), found.conflicts, 0, settled, found.problems()
    )


def drop_drafts(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    action: Action,
    modification_ids: Sequence[str],
    at: datetime,
) -> None:
    """Delete drafts; the audit trail keeps what they said."""
    audit.write_of(conn, principal, action, at, modification_ids, db.new_id, after=False)
    modifications.delete_drafts(conn, principal, modification_ids)


def _nothing_to_commit(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> CommitResult:
    if selection.session_id and not selection.ids:
        states = modifications.states_of_session(conn, principal, selection.session_id)
        if states:
            return CommitResult(selection.session_id, [], [], sum(states.values()), [], [])
    raise NoDrafts(
        f"no drafts of {principal.user_id} {describe(selection)}", hint="type: pfa status"
    )


def _require_versions(drafts: Sequence[Mark], selection: Selection) -> None:
    found = {draft.pfa_id: draft.version for draft in drafts}
    faults = [
        Fault(
            pfa_id,
            "expectedVersion",
            FaultCode.VERSION_CONFLICT,
            f"the draft has version {found.get(pfa_id, 0)}, expected was {version}",
        )
        for pfa_id, version in selection.expected_versions.items()
        if found.get(pfa_id, 0) != version
    ]
    if faults:
        raise VersionConflict(
            "drafts were saved again meanwhile, nothing was committed", details=faults
        )


def raised(rows: Sequence[Mark | ModificationRow]) -> list[Committed]:
    """Return the modifications with the version that a change of state has raised."""
    return [Committed(row.pfa_id, row.modification_id, row.version + 1) for row in rows]
