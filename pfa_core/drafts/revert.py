"""Compensating drafts: values of before for changes that are in PEMS already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from pfa_core.drafts.rebase import shown_value
from pfa_core.drafts.revert_decide import ChangedSince, revert_record
from pfa_core.drafts.revert_selection import name_of, select_sent, session_for
from pfa_core.drafts.save import preview_of, require_session
from pfa_core.drafts.save_plan import Saved, SaveOptions
from pfa_core.drafts.save_portions import Saving, hold, in_portions
from pfa_core.drafts.save_preview import SavePreview
from pfa_core.drafts.save_rights import require_known_prices
from pfa_core.errors import BaselineConflict, Fault, FaultCode, InvalidRequest
from pfa_core.model.delta import Change
from pfa_core.model.ids import PfaId, SessionId
from pfa_core.model.query import given_key, require_text
from pfa_core.model.rights import MONEY, Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import mirror, sent
from pfa_core.store.sent import SentMark


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertResult:
    """The compensating drafts, in PFA id order, and what was left.

    `session_id`: that of the drafts. `changed_since`: fields that were changed in PEMS after the caller's
    change, and are left as they are. `unchanged`: the PFA ids of records that have the values of before
    already. `emptied`: of those whose draft in the session was removed, since nothing of it was left.
    `errors`: why other drafts were not saved (only with `partial`). `waiting`: how many drafts and
    changes of the reverted session PEMS does not have. `preview`: of a dry run, what changes.
    """

    session_id: SessionId
    saved: list[Saved]
    changed_since: list[ChangedSince]
    unchanged: list[str]
    emptied: list[str]
    errors: list[Fault]
    waiting: int = 0
    preview: SavePreview | None = None
    masked: bool = False

    @property
    def left(self) -> list[Fault]:
        """Return what was left and why, field by field."""
        return [*changed_faults(self.changed_since, masked=self.masked), *self.errors]


def _check_revert(
    *,
    session_id: str | None = None,
    run_id: str | None = None,
    ids: Sequence[str] = (),
    **_: object,
) -> None:
    if session_id is None and run_id is None and not ids:
        raise InvalidRequest("nothing selected", hint="give `session_id`, `run_id` or `ids`")
    require_session(session_id)
    require_text(run_id or "")
    for pfa_id in ids:
        given_key(pfa_id)


@writes(Operation.REVERT, own=True, check=_check_revert)
def revert(
    tx: Tx,
    *,
    session_id: str | None = None,
    run_id: str | None = None,
    ids: Sequence[str] = (),
    reason: str | None = None,
    partial: bool = False,
    dry_run: bool = False,
) -> RevertResult:
    """Draft the values of before for the principal's changes that are in PEMS already.

    A field that was changed in PEMS since is left as it is, and reported with both values. The drafts go
    into a session of their own, named `revert-` and what is reverted, and wait for a commit as any others;
    they are checked by the rules like any save.

    Args:
        session_id: The changes of this session.
        run_id: Those that PEMS took in this push; with another condition, all must match.
        ids: Those of these records, alone the last change of each.
        reason: That of the drafts; what is reverted where None.
        partial: Save the valid ones when others are not.

    Raises:
        NoDrafts: Nothing of the principal's that matches is in PEMS.
        NotFound: There is no such run.
        BaselineConflict: Every field was changed in PEMS since.
        InvalidData: A value of before breaks a rule on the record of today, or the record has a draft in
            another session (SessionMismatch where that is all).
        PermissionDenied: A field that the principal may not write.
    """
    marks = select_sent(tx, session_id, run_id, [PfaId(given_key(one)) for one in ids])
    what = name_of(session_id, run_id, ids)
    options = SaveOptions(
        session_id=session_for(tx, what), partial=partial, reason=reason or f"reverts {what}"
    )
    preview = preview_of(tx, dry_run=dry_run)
    records = dict.fromkeys(mark.pfa_id for mark in marks)
    saving = Saving(tx, options, touched=hold(tx, records), preview=preview)
    found = _Found()
    for some in in_portions(_by_record(marks)):
        saving.take(list(_changes(tx, some, found)))
    if found.changed and not saving.taken:
        raise _all_changed(tx, found.changed)
    result = saving.result(records)
    return RevertResult(
        session_id=SessionId(options.session_id or ""),
        saved=result.saved,
        changed_since=_masked(tx, found.changed),
        unchanged=sorted({*found.unchanged, *result.unchanged}),
        emptied=result.emptied,
        errors=result.errors,
        waiting=sent.waiting(tx.conn, tx.principal, session_id) if session_id else 0,
        preview=result.preview,
        masked=tx.mask.hides,
    )


@dataclass(slots=True)
class _Found:
    changed: list[ChangedSince] = field(default_factory=list)
    unchanged: list[PfaId] = field(default_factory=list)


def _by_record(marks: Sequence[SentMark]) -> Iterator[list[SentMark]]:
    """Yield the changes of each record together, which are reverted as one."""
    for _, group in groupby(marks, lambda mark: mark.pfa_id):
        yield list(group)


def _changes(tx: Tx, marks: Sequence[Sequence[SentMark]], found: _Found) -> Iterator[Change]:
    """Yield the changes that give records their values of before.

    What is left is noted in `found`.
    """
    ids = [group[0].pfa_id for group in marks]
    named = [mark.modification_id for group in marks for mark in group]
    rows = mirror.lock_records(tx.conn, tx.organization_id, ids)
    changes = []
    for pfa_id, sends in groupby(sent.values(tx.conn, tx.principal, named), lambda one: one.pfa_id):
        reverting = revert_record(list(sends), rows[pfa_id].data)
        found.changed += reverting.changed
        if reverting.delta:
            changes.append(Change(pfa_id, reverting.delta))
        elif not reverting.changed:
            found.unchanged.append(pfa_id)
    require_known_prices(tx, changes)
    yield from changes


def _masked(tx: Tx, changed: Sequence[ChangedSince]) -> list[ChangedSince]:
    if not tx.mask.hides:
        return list(changed)
    return [
        replace(one, before=None, sent=None, pems=None) if one.field in MONEY else one
        for one in changed
    ]


def changed_faults(changed: Sequence[ChangedSince], *, masked: bool) -> list[Fault]:
    """Make a fault of each field that was changed in PEMS since."""
    return [
        Fault(one.pfa_id, one.field, FaultCode.BASELINE_CONFLICT, _described(one, masked=masked))
        for one in changed
    ]


def _described(one: ChangedSince, *, masked: bool) -> str:
    if masked and one.field in MONEY:
        return "was changed in PEMS since, and is left as it is"
    return (
        f"PEMS has {shown_value(one.pems)} now, not your {shown_value(one.sent)}:"
        f" left as it is, was {shown_value(one.before)} before"
    )


def _all_changed(tx: Tx, changed: Sequence[ChangedSince]) -> BaselineConflict:
    fields = f"{len(changed):,} {'field' if len(changed) == 1 else 'fields'}"
    return BaselineConflict(
        f"{fields} changed in PEMS since, nothing was drafted",
        hint="set a value all the same: pfa draft set ID FIELD=VALUE",
        details=changed_faults(_masked(tx, changed), masked=tx.mask.hides),
    )
