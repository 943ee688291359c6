"""Resolution of conflicts: locked, decided, stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pfa_core.authorization import require_fields
from pfa_core.conflicts.decide import OpenConflict, Refusal, Settled
from pfa_core.conflicts.outcome import Outcome, ResolveResult
from pfa_core.conflicts.owner import lock_owner
from pfa_core.conflicts.selection import ConflictSelection, choose
from pfa_core.errors import GuardExcess, InvalidRequest, VersionConflict
from pfa_core.guarding import (
    Judge,
    Subject,
    Tally,
    checked_reason,
    costing_of,
    forecast_cost,
    open_judge,
)
from pfa_core.masking import Mask
from pfa_core.model.audit import Action
from pfa_core.model.decision import ConflictStatus, Decision
from pfa_core.model.delta import Record, merge
from pfa_core.model.guards import Guards
from pfa_core.model.ids import ConflictId, PfaId
from pfa_core.model.modification import State
from pfa_core.model.ownership import Ownership
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, conflicts, mirror, modifications, overlays
from pfa_core.store.conflicts import ConflictRow
from pfa_core.store.database import Database
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import ModificationRow

_SUBJECT = Subject(
    what="the resolution",
    kept="nothing was resolved",
    fewer="fewer at once: `ids`, or a filter",
)


def resolve_conflicts(
    db: Database,
    principal: Principal,
    selection: ConflictSelection,
    decision: Decision,
    *,
    ownership: Ownership | None = None,
    user_id: str | None = None,
    partial: bool = False,
    guards: Guards | None = None,
    override: str | None = None,
    dry_run: bool = False,
) -> ResolveResult:
    """Resolve open conflicts, all or none, field by field.

    A field gets the value of the modification (mine), that of PEMS, or another one. What is left of the
    modification is committed again and keeps its place in the queue of the next push; without a field
    left it is deleted, and the audit trail keeps its delta. Where PEMS changed once more, the conflict
    stays open and shows the current values from then on.

    Args:
        ownership: The owner of each field; fields that have one are left to the push.
        user_id: Resolve another member's, which takes the right to manage users.
        partial: Resolve the others when some have to stay open.
        guards, override: As of `commit`, for what is committed again.

    Raises:
        InvalidRequest: A field in conflict has no answer, or an answer is about another field.
        BaselineConflict: PEMS has another value than the conflict shows.
        InvalidData: A value, or the merged record with it, breaks a rule.
        NotFound: No such conflict, or none matches.
        IllegalTransition: One is resolved already.
        GuardExceeded: It would commit more than a limit allows again.
        PermissionDenied: A field to commit again is one that the principal may not write.
    """
    reason = checked_reason(override)
    decision, owners = decision.cleaned(), ownership or Ownership()
    outcome, mask, overridden, exchanges = _resolve(
        db,
        principal,
        selection,
        decision,
        owners,
        user_id=user_id,
        partial=partial,
        limits=(guards, reason),
        dry_run=dry_run,
    )
    stale = outcome.refused_as(Refusal.STALE)
    if stale and not dry_run:
        _refresh(db, principal, stale, owners, user_id=user_id)
    if not partial:
        outcome.require_all_settled(mask)
    return replace(outcome.result(mask), overridden=overridden, suspended=not exchanges)


@writes(Operation.RESOLVE_CONFLICTS)
def _resolve(
    tx: Tx,
    selection: ConflictSelection,
    decision: Decision,
    ownership: Ownership,
    *,
    user_id: str | None,
    partial: bool,
    limits: tuple[Guards | None, str | None],
    dry_run: bool = False,
) -> tuple[Outcome, Mask, list[GuardExcess], bool]:
    tx, owner = lock_owner(tx, user_id)
    judge = open_judge(tx, *limits, _SUBJECT)
    selection = replace(selection, filters=tx.asked(selection.filters))
    found = _lock_open(tx, owner, choose(tx.conn, owner, selection), ownership)
    _require_in_conflict(found, decision)
    outcome = Outcome([item.decide(decision) for item in found])
    require_fields(tx.principal, tx.member, outcome.fields(), tx.operation)
    overridden: list[GuardExcess] = []
    if partial or not outcome.refused:
        overridden = _judge(tx, judge, found, outcome.settled)
        _store(tx, owner, outcome.settled)
    return outcome, tx.mask, overridden, judge.exchanges


def _judge(
    tx: Tx, judge: Judge, found: Sequence[OpenConflict], settled: Sequence[Settled]
) -> list[GuardExcess]:
    """Judge what is committed again."""
    before = {item.row.modification_id: item.underlying for item in found}
    tally = Tally(costing_of(tx))
    for item in settled:
        if item.left.delta:
            record = before[item.row.modification_id]
            tally.add(item.row.pfa_id, record, merge(record, item.left.delta))
    return judge.judge(tx, tally.extent(forecast_cost(tx, judge))) if tally.records else []


@writes(Operation.RESOLVE_CONFLICTS)
def _refresh(
    tx: Tx, conflict_ids: Sequence[ConflictId], ownership: Ownership, *, user_id: str | None
) -> None:
    """Record the current values of PEMS in conflicts that are still open."""
    tx, owner = lock_owner(tx, user_id)
    rows = conflicts.find(tx.conn, owner, status=ConflictStatus.OPEN, names=conflict_ids)
    found = _lock_open(tx, owner, rows, ownership)
    fields = {item.conflict.conflict_id: item.fields() for item in found}
    conflicts.refresh(tx.conn, owner, fields)


def _lock_open(
    tx: Tx, owner: Principal, rows: Sequence[ConflictRow], ownership: Ownership
) -> list[OpenConflict]:
    """Lock the mirror rows and modifications of conflicts, in PFA id order."""
    by_modification = {row.modification_id: row for row in rows}
    ids = sorted({row.pfa_id for row in rows})
    locked = mirror.lock_records(tx.conn, owner.organization_id, ids)
    found = [
        OpenConflict(
            conflict=by_modification[row.modification_id],
            row=row,
            mirror=locked[row.pfa_id],
            underlying=underlying,
            ownership=ownership,
        )
        for row, underlying in _stacked(modifications.of_records(tx.conn, owner, ids), locked)
        if row.modification_id in by_modification and row.state == State.CONFLICT
    ]
    if len(found) != len(rows):
        raise VersionConflict("modifications changed meanwhile, nothing was resolved")
    return found


def _stacked(
    rows: Iterable[ModificationRow], records: Mapping[PfaId, MirrorRow]
) -> Iterable[tuple[ModificationRow, Record]]:
    """Yield each modification and its record without it: mirror ‖ earlier ones."""
    underlying: dict[str, Record] = {}
    for row in rows:
        before = underlying.get(row.pfa_id, records[row.pfa_id].data)
        yield row, before
        underlying[row.pfa_id] = merge(before, row.delta)


def _require_in_conflict(found: Sequence[OpenConflict], decision: Decision) -> None:
    """Reject fields not in conflict anywhere."""
    known = {item.field for conflict in found for item in conflict.fields()}
    lost = [name for name in decision.fields if name not in known]
    if lost and found:
        raise InvalidRequest(
            f"not in conflict: {lost[0]}", hint=f"in conflict: {', '.join(sorted(known))}"
        )


def _store(tx: Tx, owner: Principal, settled: Sequence[Settled]) -> None:
    """Store resolutions: conflicts, modifications, overlays, audit trail."""
    at = tx.now()
    resolutions = [item.resolution for item in settled]
    conflicts.resolve(tx.conn, owner, resolutions, resolved_by=tx.user_id, at=at)
    conflicts.settle(tx.conn, owner, [item.left for item in settled], at)
    overlays.refresh_overlays(tx.conn, owner, [item.row.pfa_id for item in settled])
    _audit(tx, settled, at)


def _audit(tx: Tx, settled: Sequence[Settled], at: datetime) -> None:
    entries = [
        audit.Entry(
            entry_id=tx.new_id(),
            pfa_id=item.row.pfa_id,
            modification_id=item.row.modification_id,
            session_id=item.row.session_id,
            before=item.row.delta,
            after=item.left.delta or None,
            reason=item.row.change_reason,
        )
        for item in settled
    ]
    tx.audit(Action.RESOLVE, entries, at=at)
