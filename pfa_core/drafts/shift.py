"""Forecast dates of drafts, shifted by days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from pfa_core.authorization import require_fields
from pfa_core.drafts.save import matching_ids, preview_of, require_session, save_made
from pfa_core.drafts.save_plan import SaveOptions
from pfa_core.drafts.save_portions import SaveResult
from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.model.delta import Change, Record, merge
from pfa_core.model.ids import PfaId
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import by_record

MAX_DAYS = 36_500
_SHIFTED = ("forecastStart", "forecastEnd")
_ACTUALIZED = "actualized: dates cannot be shifted"


def _check_shift(
    _filters: Filters, days: int, *, session_id: str | None = None, **_: object
) -> None:
    if not days or abs(days) > MAX_DAYS:
        raise InvalidRequest(f"cannot shift by {days} days")
    require_session(session_id)


@writes(Operation.SHIFT, own=True, check=_check_shift)
def shift(
    tx: Tx,
    filters: Filters,
    days: int,
    *,
    reason: str | None = None,
    session_id: str | None = None,
    move: bool = False,
    partial: bool = False,
    dry_run: bool = False,
) -> SaveResult:
    """Shift both forecast dates of every matching record by whole days.

    Negative days shift to earlier dates. Actualized records are refused, since their start is a fact
    (BUSINESS_RULE_VIOLATION); filter them out, or keep the others with `partial`.
    """
    require_fields(tx.principal, tx.member, _SHIFTED, tx.operation)
    options = SaveOptions(session_id=session_id, move=move, partial=partial)
    faults: list[Fault] = []

    def make(ids: Sequence[PfaId]) -> list[Change]:
        changes, found = _shift_all(ids, _lock_merged(tx, ids), days, reason)
        faults.extend(found)
        return changes

    matching = matching_ids(tx, filters)
    preview = preview_of(tx, dry_run=dry_run)
    try:
        return save_made(tx, filters, matching, make, options, faults=faults, preview=preview)
    except InvalidData as refused:
        if refused.details and all(fault.message == _ACTUALIZED for fault in refused.details):
            raise _actualized(refused, of=len(matching)) from None
        raise


def _actualized(refused: InvalidData, *, of: int) -> InvalidData:
    number = len(refused.details)
    left = f" ({of - number:,} remain)" if of > number else ""
    records = f"{number:,} of {of:,} records are" if of > 1 else "the record is"
    return InvalidData(
        f"{records} actualized and cannot be shifted, nothing was saved",
        hint=f"leave them out with `actualized=False`{left}" if left else "",
        details=refused.details,
    )


def _lock_merged(tx: Tx, ids: Sequence[PfaId]) -> dict[PfaId, Record]:
    """Lock the records, then read them.

    In the other order the values of a pull in between would be overwritten unseen.
    """
    rows = mirror.lock_fields(tx.conn, tx.organization_id, ids, (*_SHIFTED, "isActualized"))
    stacks = by_record(modifications.active(tx.conn, tx.principal, ids))
    return {
        pfa_id: merge(row.data, *(item.delta for item in stacks.get(pfa_id, [])))
        for pfa_id, row in rows.items()
    }


def _shift_all(
    ids: Sequence[PfaId], records: Mapping[PfaId, Record], days: int, reason: str | None
) -> tuple[list[Change], list[Fault]]:
    changes: list[Change] = []
    faults: list[Fault] = []
    for pfa_id in ids:
        shifted = _shift_one(pfa_id, records.get(pfa_id), days, reason)
        if isinstance(shifted, Change):
            changes.append(shifted)
        elif shifted:
            faults.append(shifted)
    return changes, faults


def _shift_one(
    pfa_id: PfaId, record: Record | None, days: int, reason: str | None
) -> Change | Fault | None:
    """Return the change of a record, or why it is refused; None without dates."""
    if not record:  # any change will do: the save refuses a record that does not exist
        return Change(pfa_id, {"forecastStart": None}, reason)
    if record.get("isActualized"):
        return Fault(pfa_id, "forecastStart", FaultCode.BUSINESS_RULE_VIOLATION, _ACTUALIZED)
    try:
        delta = {name: _later(record[name], days) for name in _SHIFTED if record.get(name)}
    except OverflowError:
        message = "would leave the years 1 to 9999"
        return Fault(pfa_id, "forecastStart", FaultCode.INVALID_RANGE, message)
    return Change(pfa_id, delta, reason) if delta else None


def _later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()
