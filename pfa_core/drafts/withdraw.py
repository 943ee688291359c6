"""Withdrawn work: uncommitted modifications, discarded drafts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from pfa_core.drafts.commit import Committed, no_drafts, raised
from pfa_core.drafts.selection import (
    Selection,
    describe,
    is_synced,
    modification_ids,
    record_ids,
    require_selection,
    select_committed,
    select_drafts,
)
from pfa_core.errors import Fault, FaultCode, IllegalTransition, NoDrafts
from pfa_core.model import shell
from pfa_core.model.audit import Action
from pfa_core.model.ids import PfaId
from pfa_core.model.modification import State
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, draft_writes, modifications, overlays
from pfa_core.store.modifications import ModificationRow, Sent
from pfa_core.store.portions import portions
from pfa_core.store.suggestions import like_session

_TOGETHER = 1000  # modifications whose content is in memory at one time
_SENT = "a push resolves them when their next attempt is due"


@dataclass(frozen=True, slots=True)
class UncommitResult:
    """The modifications that are drafts again, in PFA id order."""

    session_id: str | None
    uncommitted: list[Committed]


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """The PFA ids of discarded drafts.

    `already_discarded`: an earlier call discarded the session.
    """

    discarded: list[PfaId]
    already_discarded: bool


@writes(Operation.UNCOMMIT, own=True, check=require_selection)
def uncommit(tx: Tx, selection: Selection, *, dry_run: bool = False) -> UncommitResult:
    """Turn committed modifications back into drafts, all or none.

    That takes that nothing of them was sent, or that PEMS surely did not take it: it rejected them, or could not be
    reached. Of several committed changes on one record only the newest becomes the draft; the earlier ones stay
    committed.

    Raises:
        NoDrafts: Nothing committed matches the selection.
        IllegalTransition: A record has a newer draft, or was sent already, or may have been.
    """
    rows = select_committed(tx, selection)
    if not rows:
        _refuse_empty(tx, selection)
    _require_unsent(rows, selection.session_id)
    rows = list({row.pfa_id: row for row in rows}.values())  # in order: the newest stays
    _require_newest(tx, rows)
    at = tx.now()
    ids = modification_ids(rows)
    tx.audit_of(Action.UNCOMMIT, ids, at=at, was=True)
    draft_writes.uncommit(tx.conn, tx.principal, ids, at)
    return UncommitResult(selection.session_id, raised(rows))


@writes(Operation.DISCARD, own=True, check=require_selection)
def discard(tx: Tx, selection: Selection, *, dry_run: bool = False) -> DiscardResult:
    """Discard drafts; the audit trail keeps their deltas.

    Committed modifications stay.

    Raises:
        InvalidRequest: The selection is empty: that never means everything.
        IllegalTransition: The session is committed.
        NoDrafts: The principal never had such a session.
    """
    drafts = select_drafts(tx, selection)
    if not drafts and selection.narrows:
        raise no_drafts(tx, selection)
    if not drafts and selection.session_id:
        return _nothing_to_discard(tx, selection, selection.session_id)
    ids, removed = [draft.pfa_id for draft in drafts], modification_ids(drafts)
    tx.audit_of(Action.DISCARD, removed, at=tx.now(), after=False, base=True, was=True)
    draft_writes.delete_drafts(tx.conn, tx.principal, removed)
    overlays.refresh_overlays(tx.conn, tx.principal, ids)
    return DiscardResult(ids, already_discarded=False)


def _nothing_to_discard(tx: Tx, selection: Selection, session_id: str) -> DiscardResult:
    states = modifications.states_of_session(tx.conn, tx.principal, session_id)
    if is_synced(states):
        raise IllegalTransition(
            f"session {session_id!r} has no drafts: all of it was pushed to PEMS",
            hint=_take_back(session_id),
        )
    if states and State.DRAFT not in states:
        raise IllegalTransition(
            f"session {session_id!r} has no drafts: it is committed",
            hint=f"type: pfa uncommit --session {shell.word(session_id)}, while PEMS has taken nothing"
            " of it",
        )
    if not states and audit.was_discarded(tx.conn, tx.organization_id, tx.user_id, session_id):
        return DiscardResult([], already_discarded=True)
    raise no_drafts(tx, selection)


def _refuse_empty(tx: Tx, selection: Selection) -> NoReturn:
    """Explain why nothing committed matches."""
    _require_none_sent(tx, selection)
    message = f"nothing committed {describe(selection)}"
    session = selection.session_id
    if session and is_synced(modifications.states_of_session(tx.conn, tx.principal, session)):
        raise NoDrafts(f"{message}: all of it was pushed to PEMS", hint=_take_back(session))
    like = like_session(tx.conn, tx.principal, session) if session and not selection.ids else ""
    raise NoDrafts(f"{message}{like}", hint="type: pfa status")


def _require_none_sent(tx: Tx, selection: Selection) -> None:
    """Refuse to take back what a push holds, or PEMS may have."""
    named = (
        record_ids(tx, selection) if selection.narrows else list(map(PfaId, selection.ids)) or None
    )
    held = [
        row
        for row in modifications.active(tx.conn, tx.principal, named)
        if row.state in (State.SYNCING, State.SYNC_ERROR)
        and selection.session_id in (None, row.session_id)
    ]
    if held:
        raise IllegalTransition(
            f"{_were(len(held))} sent already or may have been, nothing was changed",
            hint=f"{_SENT}; {_take_back(selection.session_id)}",
            details=[_illegal(row, f"is {row.state}") for row in held],
        )


def _require_unsent(rows: Sequence[Sent], session_id: str | None) -> None:
    """Refuse what a push has tried to send: PEMS may have it."""
    faults = [
        _illegal(row, "was sent to PEMS already or may have been") for row in rows if row.sent
    ]
    if faults:
        raise IllegalTransition(
            f"{len(faults):,} of {len(rows):,} were sent already, nothing was changed",
            hint=f"{_SENT}; {_take_back(session_id)}",
            details=faults,
        )


def _require_newest(tx: Tx, rows: Sequence[Sent]) -> None:
    """Refuse modifications older than another of their record: it has one draft."""
    faults = [fault for some in portions(rows, _TOGETHER) for fault in _outdated(tx, some)]
    if faults:
        raise IllegalTransition(
            f"{len(faults):,} of {len(rows):,} cannot become drafts again, nothing was changed",
            hint="discard the newer draft, or uncommit the newer session, first",
            details=faults,
        )


def _outdated(tx: Tx, rows: Sequence[Sent]) -> Iterator[Fault]:
    of_records = modifications.of_records(tx.conn, tx.principal, [row.pfa_id for row in rows])
    newest = {row.pfa_id: row for row in of_records}
    for row in rows:
        last = newest[row.pfa_id]
        if last.modification_id != row.modification_id:
            yield _illegal(row, f"has a newer modification, in session {last.session_id!r}")


def _take_back(session_id: str | None) -> str:
    """Name the command that takes back what is in PEMS."""
    session = shell.word(session_id) if session_id else "NAME"
    return f"to take back what was pushed, type: pfa revert --session {session}"


def _illegal(row: Sent | ModificationRow, message: str) -> Fault:
    return Fault(row.pfa_id, "", FaultCode.ILLEGAL_TRANSITION, message)


def _were(number: int) -> str:
    return f"{number:,} {'was' if number == 1 else 'were'}"
