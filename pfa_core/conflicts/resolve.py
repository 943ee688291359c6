"""Conflicts at work: read and locked with all that they stand on, decided, stored or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from psycopg import Connection

from pfa_core.authorization import authorize, reauthorize, require_fields
from pfa_core.conflicts.decide import Case, Refusal, Refused, Settled
from pfa_core.conflicts.selection import ConflictSelection, choose
from pfa_core.conflicts.views import authorize_owner
from pfa_core.errors import BaselineConflict, Fault, InvalidData, InvalidRequest, VersionConflict
from pfa_core.masking import Mask, mask_for
from pfa_core.model.audit import Action
from pfa_core.model.decision import Decision
from pfa_core.model.delta import merge
from pfa_core.model.modification import State
from pfa_core.model.ownership import Ownership
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.store import audit, conflicts, members, mirror, modifications, overlays
from pfa_core.store.conflicts import OPEN, ConflictRow
from pfa_core.store.database import Database
from pfa_core.store.members import Member


@dataclass(frozen=True, slots=True)
class ResolvedConflict:
    """A conflict after its settlement: the modification is committed again, or gone (pristine)."""

    conflict_id: str
    pfa_id: str
    modification_id: str
    resolution: str
    state: str
    version: int | None
    delta: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResolveResult:
    """What was settled, in PFA id order, and why others stayed open (only with `partial`). Where
    `masked`, money is None in the deltas and numbers are hidden in the problems."""

    resolved: list[ResolvedConflict]
    problems: list[Fault]
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the conflicts of one call, in PFA id order."""

    items: Sequence[Settled | Refused]

    @property
    def settled(self) -> list[Settled]:
        """Those that are answered."""
        return [item for item in self.items if isinstance(item, Settled)]

    @property
    def refused(self) -> list[Refused]:
        """Those that stay open."""
        return [item for item in self.items if isinstance(item, Refused)]

    def of(self, why: Refusal) -> list[str]:
        """The conflicts that stay open for this reason."""
        return [item.conflict_id for item in self.refused if item.why is why]

    def fields(self) -> list[str]:
        """What is committed again."""
        return sorted({name for item in self.settled for name in item.left.delta})

    def faults(self) -> list[Fault]:
        """Why conflicts stay open."""
        return [fault for item in self.refused for fault in item.faults]

    def result(self, mask: Mask) -> ResolveResult:
        """The outcome for the caller."""
        resolved = [_resolved(item, mask) for item in self.settled]
        return ResolveResult(resolved, mask.faults(self.faults()), mask.hides)


def read_cases(
    conn: Connection[Any], owner: Principal, rows: Sequence[ConflictRow], owners: Ownership
) -> list[Case]:
    """The conflicts in PFA id order, their mirror rows and modifications locked."""
    by_modification = {row.modification_id: row for row in rows}
    ids = sorted({row.pfa_id for row in rows})
    locked = mirror.lock_records(conn, owner.organization_id, ids)
    below = {pfa_id: dict(row.data) for pfa_id, row in locked.items()}
    cases = []
    for row in modifications.of_records(conn, owner, ids):
        conflict = by_modification.get(row.modification_id)
        if conflict and row.state == State.CONFLICT:
            cases.append(Case(conflict, row, locked[row.pfa_id], below[row.pfa_id], owners))
        below[row.pfa_id] = merge(below[row.pfa_id], row.delta)
    if len(cases) != len(rows):
        raise VersionConflict("modifications changed meanwhile, nothing was done")
    return cases


def require_known(cases: Sequence[Case], decision: Decision) -> None:
    """A field that is in conflict nowhere is a slip of the pen."""
    known = {item.field for case in cases for item in case.today()}
    lost = [name for name in decision.fields if name not in known]
    if lost and cases:
        raise InvalidRequest(
            f"{lost[0]} is not in conflict", hint=f"in conflict: {', '.join(sorted(known))}"
        )


def store(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    owner: Principal,
    settled: Sequence[Settled],
) -> None:
    """Write down what was settled: conflicts, modifications, overlays, audit trail."""
    at = db.clock()
    by, resolutions = principal.user_id, [item.resolution for item in settled]
    conflicts.resolve(conn, owner, resolutions, resolved_by=by, at=at)
    conflicts.settle(conn, owner, [item.left for item in settled], at)
    overlays.refresh_overlays(conn, owner, [item.row.pfa_id for item in settled])
    entries = [
        audit.Entry(
            str(db.new_id()),
            item.row.pfa_id,
            item.row.modification_id,
            item.row.session_id,
            before=item.row.delta,
            after=item.left.delta or None,
            reason=item.row.change_reason,
        )
        for item in settled
    ]
    audit.write(conn, principal.organization_id, by, Action.RESOLVE, at, entries)


def refuse(outcome: Outcome, mask: Mask) -> NoReturn:
    """Refuse all because of some."""
    faults, number = mask.faults(outcome.faults()), len(outcome.items)
    total = f"{number:,} conflict{'' if number == 1 else 's'}"
    if moved := outcome.of(Refusal.MOVED):
        raise BaselineConflict(
            f"PEMS moved again under {len(moved):,} of {total}, nothing was settled",
            hint=f"look again: pfa conflict show {moved[0]}; settle the others: --partial",
            details=faults,
        )
    if unanswered := outcome.of(Refusal.UNANSWERED):
        raise InvalidRequest(
            f"{len(unanswered):,} of {total} not wholly answered, nothing was settled",
            hint="answer each field: --take FIELD=mine, --take FIELD=pems or --set FIELD=VALUE",
            details=faults,
        )
    raise InvalidData(
        f"{len(outcome.refused):,} of {total} would break a rule, nothing was settled",
        hint="give other values: --set FIELD=VALUE; settle the others: --partial",
        details=faults,
    )


def _resolved(item: Settled, mask: Mask) -> ResolvedConflict:
    kept = bool(item.left.delta)
    return ResolvedConflict(
        item.resolution.conflict_id,
        item.row.pfa_id,
        item.row.modification_id,
        item.resolution.resolution,
        State.COMMITTED if kept else State.PRISTINE,
        item.row.version + 1 if kept else None,
        mask.values(item.left.delta),
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
    dry_run: bool = False,
) -> ResolveResult:
    """Settle open conflicts, all or none: mine, PEMS's or another value, field by field.

    What is left of a modification is committed again, in its old place before the next push; one
    of which nothing is left is gone, and the audit trail keeps its delta. Where PEMS moved once
    more, the conflict stays open and shows today's values from then on.

    Args:
        ownership: Who owns which field; those that have an owner are left to the push.
        user_id: Settle another member's, which takes the right to manage users.
        partial: Settle the others when some have to stay open.

    Raises:
        InvalidRequest: A field in conflict is not answered, or an answer fits no field.
        BaselineConflict: PEMS holds another value than the conflict tells by now.
        InvalidData: A value, or the merged record with it, breaks a rule.
        NotFound: No such conflict, or none matches.
        IllegalTransition: One is settled already.
        PermissionDenied: What would be committed again holds a field that the principal may not write.
    """
    decision = decision.cleaned()
    owners = ownership or Ownership()

    def work(conn: Connection[Any]) -> tuple[Outcome, Mask]:
        owner, member = _enter_writing(conn, principal, user_id)
        cases = read_cases(conn, owner, choose(conn, owner, selection), owners)
        require_known(cases, decision)
        outcome = Outcome([case.decide(decision) for case in cases])
        require_fields(principal, member, outcome.fields(), Operation.RESOLVE_CONFLICTS)
        if partial or not outcome.refused:
            store(conn, db, principal, owner, outcome.settled)
        return outcome, mask_for(principal, member)

    outcome, mask = db.transact(work, dry_run=dry_run)
    if outcome.of(Refusal.MOVED) and not dry_run:
        _refresh(db, principal, user_id, outcome.of(Refusal.MOVED), owners)
    if outcome.refused and not partial:
        refuse(outcome, mask)
    return outcome.result(mask)


def _enter_writing(
    conn: Connection[Any], principal: Principal, user_id: str | None
) -> tuple[Principal, Member]:
    owner, _ = authorize_owner(conn, principal, user_id, Operation.RESOLVE_CONFLICTS)
    # In the order of their names: two who settle each other's conflicts never wait in a ring.
    for name in sorted({owner.user_id, principal.user_id}):
        members.member(conn, principal.organization_id, name, lock=True)
    authorize(conn, principal, Operation.RESOLVE_CONFLICTS, writing=True)
    owner, member = authorize_owner(conn, principal, user_id, Operation.RESOLVE_CONFLICTS)
    if owner.user_id == principal.user_id:
        # What the wall shows from here on: one's own, to be changed; or as who manages users, another's.
        reauthorize(conn, principal, Operation.RESOLVE_CONFLICTS, writing=True)
    return owner, member


def _refresh(
    db: Database,
    principal: Principal,
    user_id: str | None,
    conflict_ids: Sequence[str],
    owners: Ownership,
) -> None:
    """Let the conflicts tell what PEMS holds by now."""

    def work(conn: Connection[Any]) -> None:
        owner, _ = _enter_writing(conn, principal, user_id)
        rows = conflicts.find(conn, owner, status=OPEN, names=conflict_ids)
        cases = read_cases(conn, owner, rows, owners)
        conflicts.refresh(conn, owner, {case.conflict.conflict_id: case.today() for case in cases})

    db.transact(work)
