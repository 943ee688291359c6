"""The decision what each change of a save becomes, without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_faults import fault_of, placed
from pfa_core.drafts.save_plan import (
    DraftPlan,
    DraftUpdatePlan,
    NewDraftPlan,
    NothingPlan,
    Plan,
    SaveOptions,
)
from pfa_core.drafts.save_sheet import is_overtaken, is_text_of, overwritten_faults, shown_bases
from pfa_core.errors import Fault, FaultCode, InvalidRequest
from pfa_core.model.delta import (
    MAX_REASON,
    STAMP,
    Change,
    Delta,
    Record,
    check,
    same,
    to_draft,
    unwritable,
)
from pfa_core.model.ids import PfaId, SessionId
from pfa_core.model.seen import Seen
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import ModificationRow


def plan_changes(
    changes: Iterable[Change],
    records: Mapping[str, CurrentRecord],
    options: SaveOptions,
    *,
    organization_id: str,
    session_id: SessionId,
) -> tuple[list[Plan], list[Fault]]:
    """Plan the changes, in their order; return the faults of those refused.

    Args:
        changes: Clean, each record once.
        records: By PFA id; none for a record that does not exist.
        session_id: The session of new drafts.
    """
    plans: list[Plan] = []
    faults: list[Fault] = []
    for change in changes:
        current = records.get(change.pfa_id)
        if current is None:
            planned = [fault_of(change, "", FaultCode.NOT_FOUND, f"not found in {organization_id}")]
        else:
            planned = _planned(change, current, options, session_id)
        if isinstance(planned, list):
            faults += placed(planned, change)
        else:
            plans.append(planned)
    return plans, faults


def _planned(
    change: Change, current: CurrentRecord, options: SaveOptions, session_id: SessionId
) -> Plan | list[Fault]:
    """Return the plan of a change, or why there is none."""
    draft = current.draft
    version = draft.version if draft else 0
    if change.expected_version not in (None, version):
        reason = f"the draft has version {version}, expected {change.expected_version}"
        return [fault_of(change, "expectedVersion", FaultCode.VERSION_CONFLICT, reason)]
    below = current.without_draft()
    if change.seen:
        return _edited(change, change.seen, current, options, session_id)
    outdated = _outdated(change, below)
    if not outdated and (faults := _read_only_faults(change, below)):
        return faults
    if draft is None:
        plan = _new_draft(change, current, below, options, session_id)
    else:
        plan = _update(change, draft, current, below, options, session_id=session_id)
    if isinstance(plan, NothingPlan) or (isinstance(plan, DraftUpdatePlan) and not plan.changed):
        return plan
    return (
        outdated
        or _overtaken(change, plan, current)
        or _moved(change, plan, options)
        or _checked(plan, below)
    )


def _edited(
    change: Change, seen: Seen, current: CurrentRecord, options: SaveOptions, session_id: SessionId
) -> Plan | list[Fault]:
    """Return the plan of a sheet's row, whose delta has the edited cells alone."""
    if options.replace:
        raise InvalidRequest(
            "`replace` is not for a sheet that pfa wrote: only its edited cells are taken"
        )
    below = current.without_draft()
    # A read-only cell that is not the record's was edited only where PEMS has not changed it since.
    if seen.version == current.row.version and (faults := _read_only_faults(change, below)):
        return faults
    plan: Plan
    if current.draft is None:
        plan = _new_draft(change, current, below, options, session_id)
    else:
        plan = _update(change, current.draft, current, below, options, session_id=session_id)
    if isinstance(plan, NothingPlan) or (isinstance(plan, DraftUpdatePlan) and not plan.changed):
        return plan
    overwritten = [] if options.overwrite else overwritten_faults(change, seen, current)
    return overwritten or _moved(change, plan, options) or _checked(plan, below)


def _read_only_faults(change: Change, below: Record) -> list[Fault]:
    """Return faults of values that cannot be edited and are not the record's."""
    faults: list[Fault] = []
    for name, value in change.read_only.items():
        wrong = None if is_text_of(below.get(name), value) else unwritable(name)
        if wrong:
            faults.append(fault_of(change, name, wrong.code, wrong.reason))
    return faults


def _outdated(change: Change, below: Record) -> list[Fault]:
    """Refuse values of a list that was written before PEMS changed the record.

    Those that were edited cannot be distinguished from those that PEMS has replaced since.
    """
    if STAMP not in change.read_only or is_text_of(below.get(STAMP), change.read_only[STAMP]):
        return []
    reason = (
        "PEMS changed the record since the list was written; list it again, or leave the row out"
    )
    return [fault_of(change, STAMP, FaultCode.VERSION_CONFLICT, reason)]


def _overtaken(change: Change, plan: Plan, current: CurrentRecord) -> list[Fault]:
    """Refuse values of a list that is older than the user's changes of these fields.

    Whether such a value was edited in the list or is the one of before the change cannot be distinguished.
    Where the list shows a change that is gone, any of its values may be one of that change.
    """
    newest = current.stack[-1].version if current.stack else 0
    if change.listed_version in (None, newest) or isinstance(plan, NothingPlan):
        return []
    old = plan.draft.delta if isinstance(plan, DraftUpdatePlan) else {}
    mine = {name for item in current.stack for name in item.delta}
    moved = [
        name for name in old if name not in plan.delta or not same(old[name], plan.delta[name])
    ]
    moved += [name for name in plan.delta if name not in old and (name in mine or not mine)]
    reason = "your changes of it are not those of the list; list it again, or leave the row out"
    return [fault_of(change, name, FaultCode.VERSION_CONFLICT, reason) for name in moved]


def _moved(change: Change, plan: Plan, options: SaveOptions) -> list[Fault]:
    """Refuse to change the draft of another session."""
    draft = plan.draft if isinstance(plan, DraftUpdatePlan) else None
    if draft is None or options.move or options.session_id in (None, draft.session_id):
        return []
    reason = f"its draft belongs to session {draft.session_id!r}; `move` moves it into this one"
    return [fault_of(change, "sessionId", FaultCode.SESSION_MISMATCH, reason)]


def _checked(plan: DraftPlan, below: Record) -> Plan | list[Fault]:
    return check(plan.pfa_id, below, plan.delta) or plan


def _new_draft(
    change: Change,
    current: CurrentRecord,
    below: Record,
    options: SaveOptions,
    session_id: SessionId,
) -> NewDraftPlan | NothingPlan:
    row = current.row
    delta = dict(change.delta) if options.keep_equal else to_draft(change.delta, {}, below)
    if not delta:
        return NothingPlan(row.pfa_id)
    origin = options.origins.get(change.pfa_id)
    known = (origin.base if origin else shown_bases(change, row)) or {}
    base = _base(delta, known, row)
    return NewDraftPlan(
        pfa_id=PfaId(row.pfa_id),
        session_id=origin.session_id if origin else session_id,
        delta=delta,
        base=base,
        # A commit compares only drafts that were made over another version than the mirror's.
        base_version=row.version - is_overtaken(base, known, row),
        change_reason=_reason(change, options),
        only_modification=not current.stack,
        restores=origin.entry_id if origin else None,
    )


def _update(
    change: Change,
    draft: ModificationRow,
    current: CurrentRecord,
    below: Record,
    options: SaveOptions,
    *,
    session_id: SessionId,
) -> DraftUpdatePlan:
    kept = {} if options.replace else _without(draft.delta, change.delta)
    given = change.delta if options.keep_equal else to_draft(change.delta, draft.delta, below)
    delta = {**kept, **given}
    moves = options.move and options.session_id not in (None, draft.session_id)
    changed = (
        not same(delta, draft.delta)
        or moves
        or change.change_reason not in (None, draft.change_reason)
    )
    bases = shown_bases(change, current.row)
    shown = {name: value for name, value in bases.items() if name not in draft.base}
    base = _base(delta, {**shown, **draft.base}, current.row)
    is_older = is_overtaken(base, shown, current.row)
    return DraftUpdatePlan(
        draft=draft,
        session_id=session_id if moves else draft.session_id,
        delta=delta,
        base=base,
        base_version=current.row.version - 1 if is_older else None,
        change_reason=_reason(change, options) if changed else None,
        only_modification=len(current.stack) == 1,
        changed=changed,
    )


def _reason(change: Change, options: SaveOptions) -> str | None:
    reason = options.reason if change.change_reason is None else change.change_reason
    if reason is not None and len(reason) > MAX_REASON:
        raise InvalidRequest(f"the reason has {len(reason):,} characters; at most {MAX_REASON:,}")
    return reason


def _without(values: Delta, names: Delta) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _base(delta: Delta, known: Mapping[str, Any], row: MirrorRow) -> dict[str, Any]:
    """Return the mirror's value of each field when it was first drafted."""
    return {name: known[name] if name in known else row.data.get(name) for name in delta}
