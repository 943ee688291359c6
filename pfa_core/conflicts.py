"""Conflicts with PEMS: which fields both sides changed, and what a person decides about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.access.authorization import enter, require, require_fields, resume
from pfa_core.access.masking import Mask, mask_for
from pfa_core.case import Refusal
from pfa_core.choosing import ConflictSelection, choose, matching, one
from pfa_core.errors import InvalidRequest
from pfa_core.model.decision import Decision
from pfa_core.model.delta import FieldConflict, same
from pfa_core.model.ownership import Ownership
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.resolving import Outcome, ResolveResult, read_cases, refuse, require_known, store
from pfa_core.store import conflicts, members, mirror
from pfa_core.store.conflicts import OPEN, RESOLVED, ConflictRow
from pfa_core.store.database import Database
from pfa_core.store.members import Member

ALL = "all"
STATUSES = (OPEN, RESOLVED, ALL)


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A conflict as it was found, and how it ended.

    `fields` hold base, mine and PEMS's value of that moment; `pems_now` PEMS's value of today where
    it is another one, by field, of open conflicts only. `resolution` is mine, pems or merged;
    `settlement` tells of each field which value was taken. Session and reason are None when the
    modification is gone. Where `masked`, money is None.
    """

    conflict_id: str
    pfa_id: str
    fields: tuple[FieldConflict, ...]
    status: str
    modified_by: str
    created_at: datetime
    modification_id: str
    session_id: str | None
    change_reason: str | None
    pems_now: Mapping[str, Any]
    resolution: str | None
    settlement: Mapping[str, Any] | None
    resolved_at: datetime | None
    resolved_by: str | None
    masked: bool = False


def list_conflicts(
    db: Database,
    principal: Principal,
    filters: Filters | None = None,
    *,
    status: str = OPEN,
    user_id: str | None = None,
    limit: int | None = None,
) -> list[ConflictView]:
    """The conflicts of one's own modifications on matching records, the newest first.

    Args:
        filters: On today's merged values; state and session are those of the modification.
        status: unresolved, resolved or all.
        user_id: Another member's instead, which takes the right to manage users.
        limit: At most so many; None for all.

    Raises:
        InvalidRequest: An unknown status, or a limit that is none.
        PermissionDenied: Another member's without the right.
    """
    if status not in STATUSES:
        raise InvalidRequest(f"{status!r} is no status; known are {', '.join(STATUSES)}")
    if limit is not None and limit < 1:
        raise InvalidRequest(f"a limit is 1 or more, not {limit}")

    def work(conn: Connection[Any]) -> list[ConflictView]:
        owner, member = _enter(conn, principal, user_id, Operation.LIST_CONFLICTS)
        found = matching(conn, owner, filters or Filters(), None if status == ALL else status)
        return _views(conn, owner, found[:limit], mask_for(principal, member))

    return db.read(work)


def show_conflict(
    db: Database, principal: Principal, conflict_id: str, *, user_id: str | None = None
) -> ConflictView:
    """One conflict, by its id or by that of a record that has exactly one open.

    Raises:
        NotFound: The principal (or the member named) has none of that id, or several.
        PermissionDenied: Another member's without the right to manage users.
    """
    Filters(id=(conflict_id,))

    def work(conn: Connection[Any]) -> ConflictView:
        owner, member = _enter(conn, principal, user_id, Operation.SHOW_CONFLICT)
        found = [one(conn, owner, conflict_id)]
        return _views(conn, owner, found, mask_for(principal, member))[0]

    return db.read(work)


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


def _enter(
    conn: Connection[Any], principal: Principal, user_id: str | None, operation: Operation
) -> tuple[Principal, Member]:
    """Whose conflicts they are: the principal's, or another's for those who manage users; and the
    principal's own membership."""
    member = enter(conn, principal, operation)
    if user_id is None or user_id == principal.user_id:
        return principal, member
    Filters(id=(user_id,))
    require(principal, member, OTHERS, operation)
    resume(conn, principal, operation, scope=OTHERS)
    return replace(principal, user_id=user_id), member


def _enter_writing(
    conn: Connection[Any], principal: Principal, user_id: str | None
) -> tuple[Principal, Member]:
    owner, _ = _enter(conn, principal, user_id, Operation.RESOLVE_CONFLICTS)
    # In the order of their names: two who settle each other's conflicts never wait in a ring.
    for name in sorted({owner.user_id, principal.user_id}):
        members.member(conn, principal.organization_id, name, lock=True)
    enter(conn, principal, Operation.RESOLVE_CONFLICTS, writing=True)
    owner, member = _enter(conn, principal, user_id, Operation.RESOLVE_CONFLICTS)
    if owner.user_id == principal.user_id:
        # What the wall shows from here on: one's own, to be changed; or as who manages users, another's.
        resume(conn, principal, Operation.RESOLVE_CONFLICTS, writing=True)
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


def _views(
    conn: Connection[Any], owner: Principal, rows: Sequence[ConflictRow], mask: Mask
) -> list[ConflictView]:
    ids = [row.pfa_id for row in rows if row.status == OPEN]
    today = {key: row.data for key, row in mirror.rows(conn, owner.organization_id, ids).items()}
    return [_view(row, today.get(row.pfa_id), mask) for row in rows]


def _view(row: ConflictRow, today: Mapping[str, Any] | None, mask: Mask) -> ConflictView:
    now = today if row.status == OPEN else None
    moved = {
        item.field: now.get(item.field)
        for item in row.disputed
        if now is not None and not same(now.get(item.field), item.pems)
    }
    return ConflictView(
        conflict_id=row.conflict_id,
        pfa_id=row.pfa_id,
        fields=mask.conflicts(row.disputed),
        status=row.status,
        modified_by=row.user_id,
        created_at=row.created_at,
        modification_id=row.modification_id,
        session_id=row.session_id,
        change_reason=row.change_reason,
        pems_now=mask.values(moved),
        resolution=row.resolution,
        settlement=mask.settlement(row.settlement),
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        masked=mask.hides,
    )
