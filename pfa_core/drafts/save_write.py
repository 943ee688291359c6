"""The writes of a save: drafts, overlays, audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pfa_core.drafts.before import before
from pfa_core.drafts.save_plan import (
    DraftPlan,
    DraftUpdatePlan,
    NewDraftPlan,
    Plan,
    Saved,
    SaveStatus,
)
from pfa_core.model.audit import Action
from pfa_core.model.ids import EntryId, ModificationId, PfaId
from pfa_core.operation import Tx
from pfa_core.store import audit, draft_writes, overlays
from pfa_core.store.draft_writes import NewDraft


def write_drafts(tx: Tx, plans: Sequence[Plan], at: datetime) -> list[Saved]:
    """Store planned drafts, overlays, audit entries; return the drafts by PFA id.

    A draft without a value left is deleted.
    """
    new = [plan for plan in plans if isinstance(plan, NewDraftPlan)]
    known = [plan for plan in plans if isinstance(plan, DraftUpdatePlan) and plan.delta]
    changed = [plan for plan in known if plan.changed]
    emptied = [plan for plan in plans if isinstance(plan, DraftUpdatePlan) and not plan.delta]
    inserts = [plan.row(ModificationId(tx.new_id())) for plan in new]
    draft_writes.insert_drafts(tx.conn, tx.principal, inserts, at)
    draft_writes.update_drafts(tx.conn, tx.principal, [plan.row() for plan in changed], at)
    _put_overlays(tx, new, [row.modification_id for row in inserts], exist=False)
    _put_overlays(tx, changed, [plan.draft.modification_id for plan in changed], exist=True)
    _delete(tx, emptied)
    _audit_new(tx, new, inserts, at)
    tx.audit(Action.SAVE, [_entry(tx, plan) for plan in (*changed, *emptied)], at=at)
    saved = [*map(_created, inserts), *map(_kept, known)]
    return sorted(saved, key=lambda item: item.pfa_id)


def _put_overlays(
    tx: Tx, plans: Sequence[DraftPlan], modification_ids: Sequence[ModificationId], *, exist: bool
) -> None:
    """Write the overlays of drafts; those of only modifications need no merge."""
    single, stacked = [], []
    for plan, modification_id in zip(plans, modification_ids, strict=True):
        if plan.only_modification:
            single.append(modification_id)
        else:
            stacked.append(plan.pfa_id)
    overlays.put_only_overlays(tx.conn, tx.principal, single, there=exist)
    overlays.put_overlays(tx.conn, tx.principal, stacked, there=exist)


def _delete(tx: Tx, plans: Sequence[DraftUpdatePlan]) -> None:
    ids = [plan.draft.modification_id for plan in plans]
    draft_writes.delete_drafts(tx.conn, tx.principal, ids)
    overlays.refresh_overlays(tx.conn, tx.principal, [plan.pfa_id for plan in plans])


def _audit_new(
    tx: Tx, plans: Sequence[NewDraftPlan], inserts: Sequence[NewDraft], at: datetime
) -> None:
    pairs = list(zip(plans, inserts, strict=True))
    restored = [_restored(tx, row, plan.restores) for plan, row in pairs if plan.restores]
    saved = [row.modification_id for plan, row in pairs if not plan.restores]
    tx.audit(Action.RESTORE, restored, at=at)
    tx.audit_of(Action.SAVE, saved, at=at, before=False)


def _restored(tx: Tx, row: NewDraft, entry_id: EntryId) -> audit.Entry:
    return audit.Entry(
        entry_id=tx.new_id(),
        pfa_id=row.pfa_id,
        modification_id=row.modification_id,
        session_id=row.session_id,
        after=row.delta,
        reason=f"restores entry {entry_id}",
        restores=entry_id,
    )


def _entry(tx: Tx, plan: DraftUpdatePlan) -> audit.Entry:
    return audit.Entry(
        entry_id=tx.new_id(),
        pfa_id=plan.pfa_id,
        modification_id=plan.draft.modification_id,
        session_id=plan.session_id,
        before=plan.draft.delta,
        after=plan.delta or None,
        reason=plan.change_reason,
        **before(plan.draft, plan.delta, plan.session_id, plan.change_reason),
    )


def _created(row: NewDraft) -> Saved:
    return _saved(row.pfa_id, row.modification_id, 1, SaveStatus.CREATED)


def _kept(plan: DraftUpdatePlan) -> Saved:
    status = SaveStatus.UPDATED if plan.changed else SaveStatus.UNCHANGED
    return _saved(
        plan.pfa_id, plan.draft.modification_id, plan.draft.version + plan.changed, status
    )


def _saved(
    pfa_id: PfaId, modification_id: ModificationId, version: int, status: SaveStatus
) -> Saved:
    return Saved(pfa_id, modification_id, version, status)
