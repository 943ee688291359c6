"""Commits taken back, drafts discarded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.drafts.commit import Committed, drop_drafts, raised
from pfa_core.drafts.selection import (
    Selection,
    all_in_pems,
    chosen,
    describe,
    modification_ids,
    require_selection,
    select_rows,
)
from pfa_core.errors import (
    Fault,
    FaultCode,
    IllegalTransition,
    NoDrafts,
)
from pfa_core.model.audit import Action
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.store import audit, modifications, overlays
from pfa_core.store.database import Database
from pfa_core.store.modifications import ModificationRow

_DRAFT_THE_OLD = "to take a change back draft the old value"


_SETTLED_BY_PUSH = f"a push settles them once their next try is due; {_DRAFT_THE_OLD}"


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
    require_selection(selection)

    def work(conn: Connection[Any]) -> UncommitResult:
        authorize(conn, principal, Operation.UNCOMMIT, writing=True)
        rows = select_rows(conn, principal, State.COMMITTED, selection)
        if not rows:
            _require_none_under_way(conn, principal, selection)
            what = f"nothing committed {describe(selection)}"
            session = selection.session_id
            if session and all_in_pems(modifications.states_of_session(conn, principal, session)):
                raise NoDrafts(f"{what}: PEMS has it all", hint=_DRAFT_THE_OLD)
            raise NoDrafts(what, hint="type: pfa status")
        _require_unsent(rows)
        rows = list({row.pfa_id: row for row in rows}.values())  # in order: the newest stays
        _require_alone(conn, principal, rows)
        at = db.clock()
        modifications.uncommit(conn, principal, modification_ids(rows), at)
        audit.write_of(conn, principal, Action.UNCOMMIT, at, modification_ids(rows), db.new_id)
        return UncommitResult(selection.session_id, raised(rows))

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
    require_selection(selection)

    def work(conn: Connection[Any]) -> DiscardResult:
        authorize(conn, principal, Operation.DISCARD, writing=True)
        drafts = modifications.drafts(conn, principal, **chosen(conn, principal, selection))
        if not drafts and selection.session_id:
            return _nothing_to_discard(conn, principal, selection)
        ids = [draft.pfa_id for draft in drafts]
        drop_drafts(conn, db, principal, Action.DISCARD, modification_ids(drafts), db.clock())
        overlays.refresh_overlays(conn, principal, ids)
        return DiscardResult(ids, already_discarded=False)

    return db.transact(work, dry_run=dry_run)


def _nothing_to_discard(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> DiscardResult:
    session = selection.session_id or ""
    states = modifications.states_of_session(conn, principal, session)
    if all_in_pems(states):
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
    raise NoDrafts(
        f"no drafts of {principal.user_id} {describe(selection)}", hint="type: pfa status"
    )


def _require_none_under_way(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> None:
    """What a push holds, or tries again by itself, is not there to be taken back."""
    held = [
        row
        for row in modifications.active(conn, principal, selection.ids or None)
        if row.state in (State.SYNCING, State.SYNC_ERROR)
        and selection.session_id in (None, row.session_id)
    ]
    if held:
        raise IllegalTransition(
            f"{len(held):,} {'was' if len(held) == 1 else 'were'} sent already or tried to be, nothing was"
            " changed",
            hint=_SETTLED_BY_PUSH,
            details=[
                Fault(row.pfa_id, "", FaultCode.ILLEGAL_TRANSITION, f"is {row.state}")
                for row in held
            ],
        )


def _require_unsent(rows: Sequence[ModificationRow]) -> None:
    """What a push has tried to send may be in PEMS, whatever became of the answer."""
    faults = [
        Fault(
            row.pfa_id, "", FaultCode.ILLEGAL_TRANSITION, "was sent to PEMS already, or tried to be"
        )
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
            FaultCode.ILLEGAL_TRANSITION,
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
