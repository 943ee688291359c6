"""Saves: changed fields of records as drafts, private until they are committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pfa_core import exact_json
from pfa_core.authorization import require_fields
from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_decide import plan_changes
from pfa_core.drafts.save_faults import clean_changes, in_input_order, refusal
from pfa_core.drafts.save_plan import (
    DraftUpdatePlan,
    NewDraftPlan,
    NothingPlan,
    Plan,
    Saved,
    SaveOptions,
)
from pfa_core.drafts.save_rights import require_writable, with_known_prices
from pfa_core.drafts.save_write import write_drafts
from pfa_core.errors import Fault, InvalidRequest, NotFound
from pfa_core.model.delta import RULED, Change
from pfa_core.model.ids import PfaId, SessionId
from pfa_core.model.query import Filters, Query
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import by_record
from pfa_core.store.reads import merged
from pfa_core.store.suggestions import suggest

MAX_SESSION = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveResult:
    """The drafts saved, in PFA id order, and the faults of those that were not.

    `sessions` holds the number of drafts in each session, the largest first, since existing drafts keep
    theirs, without those that are unchanged beside others; `session_id` is the first of them, else the one
    that was asked for, else empty.
    `unchanged`: the PFA ids of records without a draft that have every value already. `emptied`: those
    of drafts that were removed, since every value in them was set back to the one below.
    """

    session_id: SessionId
    saved: list[Saved]
    errors: list[Fault]
    sessions: Mapping[str, int] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


def _check_save(
    changes: Sequence[Change],
    *,
    session_id: str | None = None,
    faults: Sequence[Fault] = (),
    **_: object,
) -> None:
    if not changes and not faults:
        raise InvalidRequest("nothing to save")
    require_session(session_id)


@writes(Operation.SAVE, own=True, check=_check_save)
def save(
    tx: Tx,
    changes: Sequence[Change],
    *,
    session_id: str | None = None,
    replace: bool = False,
    move: bool = False,
    partial: bool = False,
    keep_equal: bool = False,
    reason: str | None = None,
    dry_run: bool = False,
    faults: Sequence[Fault] = (),
    source: str = "",
) -> SaveResult:
    """Save deltas as drafts, all or none.

    A delta is merged into the record's draft (`old ‖ new`), with version + 1; the same content again
    is `unchanged`. A value that the caller's record has already changes nothing, and a drafted field that
    is set back to the value below the draft leaves it. The rules are checked on the merged record.

    Args:
        session_id: Groups the drafts; a fresh one when None. An existing draft keeps its session then.
        replace: The delta replaces that of the draft.
        move: Drafts of other sessions move into this one.
        partial: Save the valid changes when others are not.
        keep_equal: Draft values equal to the record's too: a commit then is in conflict when PEMS
            changes them, and a push sends them.
        reason: That of the drafts that change, where their change has none.
        faults: Those found while the changes were read; reported with the others.
        source: The name of the input in messages.

    Returns:
        The saved drafts; with `partial` also the faults of the others.

    Raises:
        InvalidData: Faults, all of them in `details`; nothing was saved. When every fault is of
            one of these kinds: NotFound, VersionConflict, SessionMismatch instead.
        PermissionDenied: A field that the principal may not write.
    """
    changes = with_known_prices(tx, changes)
    options = SaveOptions(
        session_id=session_id,
        replace=replace,
        move=move,
        partial=partial,
        keep_equal=keep_equal,
        reason=reason,
    )
    return save_changes(tx, changes, options, faults=faults, source=source)


def _check_set(*_: object, session_id: str | None = None, **__: object) -> None:
    require_session(session_id)


@writes(Operation.SET_FIELDS, own=True, check=_check_set)
def set_fields(
    tx: Tx,
    filters: Filters,
    delta: Mapping[str, Any],
    *,
    reason: str | None = None,
    session_id: str | None = None,
    move: bool = False,
    partial: bool = False,
    keep_equal: bool = False,
    dry_run: bool = False,
) -> SaveResult:
    """Save the same delta over every matching record; unknown ids are faults.

    Args:
        keep_equal: As in `save`.
    """
    require_fields(tx.principal, tx.member, tuple(delta), tx.operation)
    changes = [Change(pfa_id, delta, reason) for pfa_id in matching_ids(tx, filters)]
    options = SaveOptions(session_id=session_id, move=move, partial=partial, keep_equal=keep_equal)
    return save_found(tx, filters, changes, options)


def save_found(
    tx: Tx,
    filters: Filters,
    changes: Sequence[Change],
    options: SaveOptions,
    *,
    faults: Sequence[Fault] = (),
) -> SaveResult:
    """Save the changes of the records that filters matched.

    Raises:
        NotFound: They matched none.
    """
    if not changes and not faults:
        suggestion = suggest(tx.conn, tx.principal, filters)
        raise NotFound("no record matches, nothing was saved", hint=suggestion)
    return save_changes(tx, changes, options, faults=faults)


def save_changes(
    tx: Tx,
    changes: Sequence[Change],
    options: SaveOptions,
    *,
    faults: Sequence[Fault] = (),
    source: str = "",
) -> SaveResult:
    """Save changes within a transaction, all or, with `partial`, the valid ones."""
    at = tx.now()
    session = SessionId(options.session_id or _new_session(at, tx))
    cleaned, invalid = clean_changes(changes)
    records = _lock_current(tx, cleaned)
    plans, refused = plan_changes(
        cleaned, records, options, organization_id=tx.organization_id, session_id=session
    )
    require_writable(tx, changes, plans)
    found = in_input_order([*faults, *invalid, *refused], changes)
    if found and not (options.partial and plans):
        done = "restored" if tx.operation is Operation.RESTORE else "saved"
        raise refusal(found, done, source)
    return _result(SessionId(options.session_id or ""), plans, write_drafts(tx, plans, at), found)


def matching_ids(tx: Tx, filters: Filters) -> list[PfaId]:
    """Return the ids that match.

    Ids that are the only filter are returned unread, so that unknown ones become faults.
    """
    if filters.id and replace(filters, id=()) == Filters():
        return [PfaId(pfa_id) for pfa_id in dict.fromkeys(filters.id)]
    return [row[0] for row in merged.stream(tx.conn, tx.principal, Query(filters), limit=None)]


def require_session(session_id: str | None) -> None:
    """Refuse a session id that is empty, too long or cannot be stored.

    Raises:
        InvalidRequest: It is.
    """
    if session_id is None:
        return
    if not session_id.strip() or len(session_id) > MAX_SESSION:
        raise InvalidRequest(f"`session_id` must have 1 to {MAX_SESSION} characters")
    try:
        exact_json.refuse_unstorable(session_id)
    except exact_json.JsonFault as fault:
        raise InvalidRequest(f"`session_id` cannot be stored: {fault.reason}") from None


def _lock_current(tx: Tx, changes: Sequence[Change]) -> dict[str, CurrentRecord]:
    """Lock and read the records to change, only the fields that matter."""
    ids = sorted({PfaId(change.pfa_id) for change in changes})
    fields = RULED.union(*(change.delta for change in changes))
    read_only = set[str]().union(*(change.read_only for change in changes if change.read_only))
    if read_only <= FIELDS.keys():
        names = sorted(fields | read_only)
        rows = mirror.lock_fields(tx.conn, tx.organization_id, ids, names)
    else:
        rows = mirror.lock_records(tx.conn, tx.organization_id, ids)
    stacks = by_record(modifications.of_records(tx.conn, tx.principal, ids))
    return {pfa_id: CurrentRecord(row, stacks.get(pfa_id, ())) for pfa_id, row in rows.items()}


def _result(
    session: SessionId, plans: Sequence[Plan], saved: list[Saved], faults: list[Fault]
) -> SaveResult:
    drafts = [plan for plan in plans if not isinstance(plan, NothingPlan) and plan.delta]
    changed = [p for p in drafts if isinstance(p, NewDraftPlan) or p.changed]
    sessions = dict(Counter(str(plan.session_id) for plan in changed or drafts).most_common())
    unchanged = [plan.pfa_id for plan in plans if isinstance(plan, NothingPlan)]
    emptied = [p.pfa_id for p in plans if isinstance(p, DraftUpdatePlan) and not p.delta]
    return SaveResult(
        session_id=SessionId(next(iter(sessions), session)),
        saved=saved,
        errors=faults,
        sessions=sessions,
        unchanged=sorted(unchanged),
        emptied=sorted(emptied),
    )


def _new_session(at: datetime, tx: Tx) -> str:
    """Return a fresh session id: the time, then four characters against equal ones."""
    return f"s-{at:%Y%m%d-%H%M%S}-{tx.new_id()[-4:]}"
