"""The writes of an undo: modifications, overlays, audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pfa_core.drafts.before import PART
from pfa_core.drafts.undo_decide import NOW, Move, Wanted
from pfa_core.model.audit import Action
from pfa_core.model.delta import same
from pfa_core.model.ids import EntryId, ModificationId, PfaId, SessionId
from pfa_core.model.modification import State
from pfa_core.operation import Tx
from pfa_core.store import audit, draft_writes, overlays, undo_writes
from pfa_core.store.operations import HeldRow
from pfa_core.store.undo_writes import CommittedAgain, DraftAgain, WholeDraft


class Became(StrEnum):
    """What an undo made of a modification."""

    DRAFTED = "drafted"
    CHANGED = "changed"
    DELETED = "deleted"
    UNCOMMITTED = "uncommitted"
    COMMITTED = "committed"


@dataclass(frozen=True, slots=True)
class UndoneModification:
    """A modification after an undo; `version` is None where it was deleted."""

    pfa_id: PfaId
    modification_id: ModificationId
    version: int | None
    became: Became


def write_moves(
    tx: Tx, moves: Sequence[Move], at: datetime, reason: str
) -> list[UndoneModification]:
    """Store moves, overlays, audit entries; return what became of the modifications.

    Args:
        reason: That of the entries.
    """
    whole = [move for move in moves if not move.part]
    inserts, rewrites, recommits = [], [], []
    deletes: list[ModificationId] = []
    uncommits: list[ModificationId] = []
    done: list[UndoneModification] = []
    for move in whole:
        row, wanted, key = move.row, move.wanted, move.entry.modification_id
        if wanted is None:
            deletes += [key] if row else []
            done.append(UndoneModification(move.entry.pfa_id, key, None, Became.DELETED))
        elif row is None:
            inserts.append(_again(move, wanted))
            version = int(wanted.was["version"]) + 1
            done.append(UndoneModification(move.entry.pfa_id, key, version, Became.DRAFTED))
        elif wanted.state is not State.DRAFT:
            recommits.append(_recommitted(row, wanted))
            done.append(UndoneModification(row.pfa_id, key, row.version + 1, Became.COMMITTED))
        else:
            taken = row.state is not State.DRAFT
            uncommits += [key] if taken else []
            changes = not taken or _differs(row, wanted)
            if changes:
                rewrites.append(_rewritten(row, wanted, row.version + taken))
            became = Became.UNCOMMITTED if taken else Became.CHANGED
            done.append(UndoneModification(row.pfa_id, key, row.version + taken + changes, became))
    draft_writes.delete_drafts(tx.conn, tx.principal, deletes)
    undo_writes.insert_again(tx.conn, tx.principal, inserts, at)
    draft_writes.uncommit(tx.conn, tx.principal, uncommits, at)
    undo_writes.rewrite_drafts(tx.conn, tx.principal, rewrites, at)
    undo_writes.recommit(tx.conn, tx.principal, recommits, at)
    touched = {m.entry.pfa_id for m in whole if not (m.row and m.wanted) or _changes(m)}
    overlays.refresh_overlays(tx.conn, tx.principal, sorted(touched))
    tx.audit(Action.UNDO, [_entry(tx, move, reason) for move in moves], at=at)
    return done


def _changes(move: Move) -> bool:
    return bool(move.row and move.wanted and not same(move.row.delta, move.wanted.delta))


def _differs(row: HeldRow, wanted: Wanted) -> bool:
    return (
        not same(row.delta, wanted.delta)
        or not same(row.base, wanted.base)
        or (row.session_id, row.change_reason) != (wanted.session_id, wanted.change_reason)
    )


def _again(move: Move, wanted: Wanted) -> DraftAgain:
    was = wanted.was
    return DraftAgain(
        modification_id=move.entry.modification_id,
        pfa_id=move.entry.pfa_id,
        session_id=SessionId(wanted.session_id),
        delta=wanted.delta,
        base=wanted.base,
        base_version=was["base_version"],
        version=was["version"],
        generation=was.get("generation", 0),
        change_reason=wanted.change_reason,
        created_at=was["created_at"],
    )


def _rewritten(row: HeldRow, wanted: Wanted, version: int) -> WholeDraft:
    return WholeDraft(
        modification_id=row.modification_id,
        session_id=SessionId(wanted.session_id),
        delta=wanted.delta,
        base=wanted.base,
        change_reason=wanted.change_reason,
        version=version,
    )


def _recommitted(row: HeldRow, wanted: Wanted) -> CommittedAgain:
    was = wanted.was
    return CommittedAgain(
        modification_id=row.modification_id,
        state=wanted.state,
        delta=wanted.delta,
        committed_at=was["committed_at"],
        attempts=was.get("attempts", 0),
        failures=was.get("failures", 0),
        first_attempt_at=was.get("first_attempt_at"),
        sync_error=was.get("sync_error"),
        version=row.version,
    )


def _entry(tx: Tx, move: Move, reason: str) -> audit.Entry:
    """Make the entry that takes one back; it keeps enough to be taken back itself."""
    row, wanted, entry = move.row, move.wanted, move.entry
    was: dict[str, Any] = {PART: True} if move.part else {**row.was} if row else {}
    if wanted:
        was[NOW] = wanted.state
    given = entry.before if move.part else wanted.delta if wanted else None
    return audit.Entry(
        entry_id=tx.new_id(),
        pfa_id=entry.pfa_id,
        modification_id=entry.modification_id,
        session_id=SessionId(wanted.session_id if wanted else entry.session_id),
        before=row.delta if row and not move.part else None,
        after=given,
        reason=reason,
        restores=EntryId(entry.entry_id),
        base=row.base if row and not move.part else None,
        was=was,
    )
