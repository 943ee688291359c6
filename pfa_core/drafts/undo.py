"""The caller's last local operation, taken back from the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pfa_core.authorization import require_fields
from pfa_core.drafts.extent import add_drafts
from pfa_core.drafts.operations import choose
from pfa_core.drafts.own_sends import own_sends
from pfa_core.drafts.save import preview_of
from pfa_core.drafts.save_portions import hold, in_portions
from pfa_core.drafts.save_preview import COSTED, Preview, SavePreview
from pfa_core.drafts.undo_decide import (
    Move,
    Refusal,
    Situation,
    after_moves,
    decide,
    later_refusal,
    records_of,
    written_fields,
)
from pfa_core.drafts.undo_write import Became, UndoneModification, write_moves
from pfa_core.errors import GuardExcess, IllegalTransition, InvalidRequest
from pfa_core.guarding import (
    Judge,
    Subject,
    Tally,
    checked_reason,
    costing_of,
    forecast_cost,
    open_judge,
)
from pfa_core.model.delta import Delta, merge
from pfa_core.model.guards import Extent, Guards
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.modification import State
from pfa_core.model.operations import OperationKind, Step, later_operation
from pfa_core.model.principal import Principal
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import mirror, operations
from pfa_core.store.database import Database
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.operations import EntryContent, EntryMark, HeldRow

_SUBJECT = Subject(
    what="what is committed again",
    kept="nothing was changed",
    fewer="or commit fewer at once: pfa commit",
)
_OF_COMMITS = (OperationKind.COMMIT, OperationKind.UNCOMMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoResult:
    """The operation that was taken back, and its modifications, in PFA id order.

    `operation` is its number, `kind` what it was; of a redo those of the operation that was done again.
    `preview`: of a dry run, what changes. `overridden`: the limits that what is committed again was over.
    """

    operation: int
    kind: OperationKind
    redone: bool
    at: datetime
    records: int
    undone: list[UndoneModification]
    preview: SavePreview | None = None
    overridden: list[GuardExcess] = field(default_factory=list)


class _TakesRightToSync(Exception):
    """A commit or uncommit is to be taken back, which requires other rights."""


def undo(
    db: Database,
    principal: Principal,
    *,
    operation: int | None = None,
    redo: bool = False,
    guards: Guards | None = None,
    override: str | None = None,
    dry_run: bool = False,
) -> UndoResult:
    """Take back the principal's last local operation, all of it or nothing.

    Local operations are saves (set and shift too), unsets, discards, restores, commits of which PEMS surely
    has nothing, and uncommits; called again it takes back the one before. Drafts, committed changes and merged
    records are as before the operation; versions only rise. The undo is an operation in the audit trail, and
    taken back by `redo`. Values are not checked by today's rules: a commit does that.

    Args:
        operation: This one by its number in `list_operations`, not the last; that of an undo does again what
            it took back.
        redo: Take back the last undo that is in effect.
        guards, override: As of `commit`, for what is committed again.

    Raises:
        NotFound: There is nothing to take back, or no such operation of the principal's.
        IllegalTransition: It cannot be taken back: PEMS may have it, a push holds it, something later changed the
            same records, or it was taken back already. The details say why for each record.
        GuardExceeded: It would commit more than a limit allows again.
        PermissionDenied: It would write a field that the principal may not write, or commit without the right.
    """
    checked_reason(override)
    if operation is not None and redo:
        raise InvalidRequest("`operation` cannot be combined with `redo`")
    try:
        return _undo_drafts(db, principal, operation=operation, redo=redo, dry_run=dry_run)
    except _TakesRightToSync:
        return undo_commit(
            db,
            principal,
            operation=operation,
            redo=redo,
            guards=guards,
            override=override,
            dry_run=dry_run,
        )


@writes(Operation.UNDO, own=True)
def _undo_drafts(tx: Tx, *, operation: int | None, redo: bool, dry_run: bool) -> UndoResult:
    chosen, meant = choose(tx, operation, redo=redo)
    if meant.kind in _OF_COMMITS:
        raise _TakesRightToSync
    return _undo(tx, chosen, meant, judge=None, dry_run=dry_run)


@writes(Operation.UNDO_COMMIT, own=True)
def undo_commit(
    tx: Tx,
    *,
    operation: int | None,
    redo: bool,
    guards: Guards | None = None,
    override: str | None = None,
    dry_run: bool,
) -> UndoResult:
    """Take back an operation of any kind, also a commit or uncommit."""
    judge = open_judge(tx, guards, checked_reason(override), _SUBJECT)
    # Chosen anew: meanwhile the principal may have done more.
    chosen, meant = choose(tx, operation, redo=redo)
    return _undo(tx, chosen, meant, judge=judge, dry_run=dry_run)


def _undo(tx: Tx, chosen: Step, meant: Step, *, judge: Judge | None, dry_run: bool) -> UndoResult:
    """Take back an operation.

    Args:
        meant: The operation itself, of an undo what it took back.
        judge: Judges what is committed again; None: nothing can be.
    """
    redone = chosen.kind is OperationKind.UNDO
    reason = f"{'redoes' if redone else 'undoes'} operation {meant.number}"
    undoing = _Undoing(tx, chosen, reason, preview_of(tx, dry_run=dry_run), judge)
    marks = operations.entries(tx.conn, tx.principal, chosen.number)
    ids = sorted({mark.pfa_id for mark in marks})
    hold(tx, ids)
    for some in in_portions(marks):
        undoing.take(some)
    undone = undoing.result(len(ids))
    overridden = undoing.judged()
    facts = operations.facts(tx.conn, tx.principal, [meant.number])[meant.number]
    return UndoResult(
        operation=meant.number,
        kind=meant.kind,
        redone=redone,
        at=facts.at,
        records=len(ids),
        undone=undone,
        preview=undoing.preview.result() if undoing.preview else None,
        overridden=overridden,
    )


class _Undoing:
    """An undo that takes the operation's entries in portions.

    Each is written before the next is read.
    """

    def __init__(
        self, tx: Tx, of: Step, reason: str, preview: Preview | None, judge: Judge | None
    ) -> None:
        self._judge = judge
        self._tally = Tally(costing_of(tx)) if judge and judge.of_money else None
        self._tx, self._of, self._reason, self._at = tx, of, reason, tx.now()
        self.preview = preview
        self._refusals: list[Refusal] = []
        self._fields: dict[str, None] = {}
        self._undone: list[UndoneModification] = []

    def take(self, marks: Sequence[EntryMark]) -> None:
        """Take back some entries."""
        tx = self._tx
        entries = operations.contents(tx.conn, tx.principal, [mark.entry_id for mark in marks])
        ids = sorted({entry.pfa_id for entry in entries})
        records = mirror.lock_fields(tx.conn, tx.organization_id, ids, self._names(entries))
        stacks = operations.rows(tx.conn, tx.principal, ids)
        refused = self._later(entries, ids)
        moves = []
        for entry, decision in self._decided(entries, stacks, records):
            later = refused.get(entry.pfa_id)
            if later:
                # What PEMS has does not come back by taking back the later operation first.
                if isinstance(decision, Refusal) and decision.why < later.why:
                    refused[entry.pfa_id] = decision
            elif isinstance(decision, Refusal):
                self._refusals.append(decision)
            else:
                moves.append(decision)
        self._refusals += refused.values()
        self._fields.update(written_fields(moves))
        if self.preview:
            _compare(self.preview, moves, stacks, records)
        if not self._refusals:
            if self._tally:
                add_drafts(tx, self._tally, *_committed_again(moves))
            self._undone += write_moves(tx, moves, self._at, self._reason)

    def result(self, records: int) -> list[UndoneModification]:
        """Return what became of the modifications.

        Raises:
            IllegalTransition: Some cannot be taken back.
            PermissionDenied: A field that the caller may not write.
        """
        if self._refusals:
            first = min(self._refusals, key=lambda one: (one.why, -one.later))
            refused = len({one.fault.pfa_id for one in self._refusals})
            raise IllegalTransition(
                f"operation {self._of.number} cannot be taken back, nothing was changed: {refused:,} of"
                f" {records:,} {'record' if records == 1 else 'records'}, {first.fault.pfa_id}:"
                f" {first.fault.message}",
                hint=first.hint,
                details=[one.fault for one in self._refusals],
            )
        tx = self._tx
        require_fields(tx.principal, tx.member, self._fields, tx.operation)
        return self._undone

    def judged(self) -> list[GuardExcess]:
        """Judge what is committed again, and return the limits that were overridden.

        Raises:
            GuardExceeded: More than a limit allows.
            PermissionDenied: It is overridden without the right to.
        """
        tx, judge = self._tx, self._judge
        records = sum(one.became is Became.COMMITTED for one in self._undone)
        if judge is None or not records:
            return []
        extent = Extent(records=records)
        if self._tally:
            extent = self._tally.extent(forecast_cost(tx, judge))
        return judge.judge(tx, extent)

    def _names(self, entries: Sequence[EntryContent]) -> list[str]:
        names = set[str]().union(*(entry.base for entry in entries if entry.base))
        if self.preview:
            names |= COSTED.union(*(e.before for e in entries if e.before))
            names = names.union(*(e.after for e in entries if e.after))
        return sorted(names & FIELDS.keys()) or ["source"]

    def _later(self, entries: Sequence[EntryContent], ids: Sequence[PfaId]) -> dict[PfaId, Refusal]:
        """Return the refusals of records that a later operation changed."""
        tx, refused = self._tx, dict[PfaId, Refusal]()
        later = operations.later(tx.conn, tx.principal, ids, self._of.number)
        for entry in entries:
            steps = later.get(entry.pfa_id, [])
            number = later_operation(self._of, steps)
            if number is not None:
                settled = any(s.number == number and s.kind is OperationKind.RESOLVE for s in steps)
                refused[entry.pfa_id] = later_refusal(entry, number, settled=settled)
        return refused

    def _decided(
        self,
        entries: Sequence[EntryContent],
        stacks: dict[PfaId, list[HeldRow]],
        records: dict[PfaId, MirrorRow],
    ) -> list[tuple[EntryContent, Move | Refusal]]:
        tx = self._tx
        present = {row.modification_id for stack in stacks.values() for row in stack}
        absent = {e.modification_id for e in entries if e.after is not None} - present
        in_pems = operations.synced(tx.conn, tx.principal, absent)
        since = own_sends(tx, [e.pfa_id for e in entries if e.base])
        decided = []
        for entry in entries:
            record = records.get(entry.pfa_id)
            situation = Situation(
                stack=stacks.get(entry.pfa_id, ()),
                data=record.data if record else {},
                sends=[one.delta for one in since.get(entry.pfa_id, ()) if one.at >= entry.at],
                in_pems=entry.modification_id in in_pems,
            )
            decided.append((entry, decide(entry, situation)))
        return decided


def _committed_again(
    moves: Sequence[Move],
) -> tuple[list[HeldRow], dict[ModificationId, Delta]]:
    """Return the drafts that are committed again, and what of each."""
    again = [
        (move.row, move.wanted)
        for move in moves
        if move.row and move.wanted and not move.part and move.wanted.state is not State.DRAFT
    ]
    rows = [row for row, _ in again]
    return rows, {row.modification_id: wanted.delta for row, wanted in again}


def _compare(
    preview: Preview,
    moves: Sequence[Move],
    stacks: dict[PfaId, list[HeldRow]],
    records: dict[PfaId, MirrorRow],
) -> None:
    for pfa_id, of_record in records_of(moves).items():
        stack, row = stacks.get(pfa_id, []), records.get(pfa_id)
        if row:
            before = merge(row.data, *(one.delta for one in stack))
            preview.compare(pfa_id, before, merge(row.data, *after_moves(stack, of_record)))
