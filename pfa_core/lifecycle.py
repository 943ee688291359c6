"""Commit, uncommit, discard: what a user does with drafts once they are written."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.access.authorization import enter, may_write_all, require_fields
from pfa_core.errors import (
    Fault,
    IllegalTransition,
    InvalidRequest,
    NoDrafts,
    NotFound,
    VersionConflict,
)
from pfa_core.model.audit import Action
from pfa_core.model.modification import State
from pfa_core.model.ownership import Ownership
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.precommit import RecordConflict, Review, review
from pfa_core.store import audit, leases, mirror, modifications, overlays
from pfa_core.store.database import Database
from pfa_core.store.modifications import Commitment, Mark, ModificationRow

_DRAFT_THE_OLD = "to take a change back draft the old value"
_SETTLED_BY_PUSH = f"a push settles them once their next try is due; {_DRAFT_THE_OLD}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the principal's modifications: of a session, of records, both, or everything.

    `expected_versions` maps PFA ids to the draft version the caller has seen; with neither session
    nor ids it also is the selection.
    """

    session_id: str | None = None
    ids: tuple[str, ...] = ()
    everything: bool = False
    expected_versions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Filters(
            id=(*self.ids, *self.expected_versions),
            session=(self.session_id,) if self.session_id else (),
        )

    @property
    def empty(self) -> bool:
        """Whether it selects nothing: never taken to mean everything."""
        return self.session_id is None and not self.ids and not self.everything


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


@dataclass(frozen=True, slots=True)
class UncommitResult:
    """What is a draft again, in PFA id order."""

    session_id: str | None
    uncommitted: list[Committed]


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """The PFA ids whose drafts were dropped; `already_discarded`: the session was dropped before."""

    discarded: list[str]
    already_discarded: bool


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
    _require_selection(selection)

    def work(conn: Connection[Any]) -> CommitResult:
        member = enter(conn, principal, Operation.COMMIT, writing=True)
        drafts = modifications.drafts(conn, principal, **_selected(conn, principal, selection))
        if not drafts:
            return _nothing_to_commit(conn, principal, selection)
        _require_versions(drafts, selection)
        if not may_write_all(principal, member):
            fields = modifications.fields_of(conn, principal, _ids(drafts))
            require_fields(principal, member, fields, Operation.COMMIT)
        as_drafted = modifications.unmoved(conn, principal, drafts)
        unmoved = [draft for draft in drafts if draft.modification_id in as_drafted]
        moved = [draft for draft in drafts if draft.modification_id not in as_drafted]
        rows = modifications.by_id(conn, principal, _ids(moved))
        found = review(conn, principal, rows, ownership or Ownership())
        if not partial:
            found.raise_if_bad(len(drafts))
        return _commit(conn, db, principal, unmoved, found, selection)

    return db.transact(work, dry_run=dry_run)


def uncommit(
    db: Database, principal: Principal, selection: Selection, *, dry_run: bool = False
) -> UncommitResult:
    """Turn committed modifications back into drafts, all or none, while nothing was sent; and those
    that PEMS refused for good.

    Of several commitments on one record only the newest becomes the draft; those under it stay.

    Raises:
        NoDrafts: Nothing committed matches the selection.
        IllegalTransition: A record has a newer draft, or was sent already.
    """
    _require_selection(selection)

    def work(conn: Connection[Any]) -> UncommitResult:
        enter(conn, principal, Operation.UNCOMMIT, writing=True)
        rows = _select(conn, principal, State.COMMITTED, selection)
        if not rows:
            _require_none_under_way(conn, principal, selection)
            what = f"nothing committed {_where(selection)}"
            session = selection.session_id
            if session and _in_pems(modifications.states_of_session(conn, principal, session)):
                raise NoDrafts(f"{what}: PEMS has it all", hint=_DRAFT_THE_OLD)
            raise NoDrafts(what, hint="type: pfa status")
        _require_unsent(rows)
        rows = list({row.pfa_id: row for row in rows}.values())  # in order: the newest stays
        _require_alone(conn, principal, rows)
        at = db.clock()
        modifications.uncommit(conn, principal, _ids(rows), at)
        audit.write_of(conn, principal, "uncommit", at, _ids(rows), db.new_id)
        return UncommitResult(selection.session_id, _raised(rows))

    return db.transact(work, dry_run=dry_run)


def discard(
    db: Database, principal: Principal, selection: Selection, *, dry_run: bool = False
) -> DiscardResult:
    """Drop drafts; the audit trail keeps their deltas. Committed modifications stay.

    Raises:
        InvalidRequest: The selection is empty: that never means everything.
        IllegalTransition: The session is committed.
        NoDrafts: There never was such a session.
    """
    _require_selection(selection)

    def work(conn: Connection[Any]) -> DiscardResult:
        enter(conn, principal, Operation.DISCARD, writing=True)
        drafts = modifications.drafts(conn, principal, **_selected(conn, principal, selection))
        if not drafts and selection.session_id:
            return _nothing_to_discard(conn, principal, selection)
        ids = [draft.pfa_id for draft in drafts]
        _drop(conn, db, principal, "discard", _ids(drafts), db.clock())
        overlays.refresh_overlays(conn, principal, ids)
        return DiscardResult(ids, already_discarded=False)

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
    modifications.commit_unmoved(conn, principal, unmoved, at)
    commitments = [
        Commitment(draft.modification_id, delta, draft.version) for draft, delta in found.good
    ]
    modifications.commit_drafts(conn, principal, commitments, at)
    done: list[Mark | ModificationRow] = [*unmoved, *(draft for draft, _ in found.good)]
    done.sort(key=lambda draft: draft.pfa_id)
    audit.write_of(conn, principal, "commit", at, _ids(done), db.new_id)
    _drop(conn, db, principal, "settle", _ids(found.settled), at)
    changed = [draft.pfa_id for draft, delta in found.good if delta != draft.delta]
    settled = [draft.pfa_id for draft in found.settled]
    overlays.refresh_overlays(conn, principal, [*changed, *settled])
    return CommitResult(
        selection.session_id, _raised(done), found.conflicts, 0, settled, found.problems()
    )


def _drop(
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
    raise NoDrafts(f"no drafts of {principal.user_id} {_where(selection)}", hint="type: pfa status")


def _nothing_to_discard(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> DiscardResult:
    session = selection.session_id or ""
    states = modifications.states_of_session(conn, principal, session)
    if _in_pems(states):
        text = f"session {session!r} has no drafts any more: PEMS has it all"
        raise IllegalTransition(text, hint=_DRAFT_THE_OLD)
    if states and State.DRAFT not in states:
        raise IllegalTransition(
            f"session {session!r} has no drafts any more: it is committed",
            hint=f"type: pfa uncommit --session {shlex.quote(session)}, while nothing was sent or PEMS"
            " refused it",
        )
    discarded = audit.was_discarded(conn, principal.organization_id, principal.user_id, session)
    if discarded and not states:
        return DiscardResult([], already_discarded=True)
    raise NoDrafts(f"no drafts of {principal.user_id} {_where(selection)}", hint="type: pfa status")


def _select(
    conn: Connection[Any], principal: Principal, state: State, selection: Selection
) -> list[ModificationRow]:
    chosen = _selected(conn, principal, selection)
    return modifications.select(conn, principal, state, dead=True, **chosen)


def _selected(conn: Connection[Any], principal: Principal, selection: Selection) -> dict[str, Any]:
    """The selection as the store takes it."""
    by_version = not selection.session_id and not selection.everything
    _require_records(conn, principal, selection.ids)
    ids = list(selection.ids) or (list(selection.expected_versions) if by_version else None) or None
    return {"session_id": selection.session_id, "ids": ids}


def _require_records(conn: Connection[Any], principal: Principal, ids: Sequence[str]) -> None:
    """Ids named outright must exist: a typo must not pass for "nothing to do"."""
    known = mirror.lock_records(conn, principal.organization_id, ids) if ids else {}
    lost = [pfa_id for pfa_id in ids if pfa_id not in known]
    if lost:
        code = principal.organization_id
        raise NotFound(
            f"{lost[0]!r} is no record of {code}, nothing was done",
            details=[Fault(pfa_id, "", "NOT_FOUND", f"is no record of {code}") for pfa_id in lost],
        )


def _require_selection(selection: Selection) -> None:
    if selection.empty and not selection.expected_versions:
        raise InvalidRequest("nothing is selected", hint="give --session S, --id ID or --all")


def _require_versions(drafts: Sequence[Mark], selection: Selection) -> None:
    found = {draft.pfa_id: draft.version for draft in drafts}
    faults = [
        Fault(
            pfa_id,
            "expectedVersion",
            "VERSION_CONFLICT",
            f"the draft has version {found.get(pfa_id, 0)}, expected was {version}",
        )
        for pfa_id, version in selection.expected_versions.items()
        if found.get(pfa_id, 0) != version
    ]
    if faults:
        raise VersionConflict(
            "drafts were saved again meanwhile, nothing was committed", details=faults
        )


def _in_pems(states: Mapping[str, int]) -> bool:
    """Whether all that there is of a session has been pushed."""
    return states.keys() == {State.SYNCED}


def _require_none_under_way(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> None:
    """What a push holds, or tries again by itself, is not there to be taken back."""
    held = [
        row
        for row in modifications.living(conn, principal, selection.ids or None)
        if row.state in (State.SYNCING, State.SYNC_ERROR)
        and selection.session_id in (None, row.session_id)
    ]
    if held:
        raise IllegalTransition(
            f"{len(held):,} {'was' if len(held) == 1 else 'were'} sent already or tried to be, nothing was"
            " changed",
            hint=_SETTLED_BY_PUSH,
            details=[
                Fault(row.pfa_id, "", "ILLEGAL_TRANSITION", f"is {row.state}") for row in held
            ],
        )


def _require_unsent(rows: Sequence[ModificationRow]) -> None:
    """What a push has tried to send may be in PEMS, whatever became of the answer."""
    faults = [
        Fault(row.pfa_id, "", "ILLEGAL_TRANSITION", "was sent to PEMS already, or tried to be")
        for row in rows
        if row.attempts and row.state == State.COMMITTED
    ]
    if faults:
        raise IllegalTransition(
            f"{len(faults):,} of {len(rows):,} were sent already, nothing was changed",
            hint=_SETTLED_BY_PUSH,
            details=faults,
        )


def _require_alone(
    conn: Connection[Any], principal: Principal, rows: Sequence[ModificationRow]
) -> None:
    """Only the newest modification of a record can become its draft, and only when unsent."""
    newest: dict[str, ModificationRow] = {}
    for row in modifications.of_records(conn, principal, [row.pfa_id for row in rows]):
        newest[row.pfa_id] = row
    faults = [
        Fault(
            row.pfa_id,
            "",
            "ILLEGAL_TRANSITION",
            f"has a newer modification, in session {newest[row.pfa_id].session_id!r}",
        )
        for row in rows
        if newest[row.pfa_id].modification_id != row.modification_id
    ]
    if faults:
        raise IllegalTransition(
            f"{len(faults):,} of {len(rows):,} cannot become drafts again, nothing was changed",
            hint="discard the newer draft, or uncommit the newer session, first",
            details=faults,
        )


def _ids(rows: Sequence[Mark | ModificationRow]) -> list[str]:
    return [row.modification_id for row in rows]


def _raised(rows: Sequence[Mark | ModificationRow]) -> list[Committed]:
    return [Committed(row.pfa_id, row.modification_id, row.version + 1) for row in rows]


def _where(selection: Selection) -> str:
    parts = []
    if selection.session_id:
        parts.append(f"in session {selection.session_id!r}")
    if selection.ids:
        parts.append(f"on {', '.join(selection.ids[:3])}{' …' if len(selection.ids) > 3 else ''}")
    return " ".join(parts) or "in this organization"
