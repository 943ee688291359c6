"""Reading of baseline records.

Records are cast, completed with defaults, and refused one by one with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.casts import CASTS, KEYS, LEFT_OUT, Cast
from pfa_core.model.keys import normal_key
from pfa_core.model.patterns import patterned_changes
from pfa_core.model.record import FIELDS, MAX_ID
from pfa_core.model.values import Wrong, read_value, shorten

FOREIGN = FaultCode.FOREIGN_ORGANIZATION


def read_record(
    raw: Any, organization_id: str, position: str, *, textual: bool
) -> dict[str, Any] | Fault:
    """Convert a record to what the mirror keeps, or return why it is refused.

    Known fields are cast (`textual` sources hold every value as text), missing ones get the
    field's default; null ones are left out like missing ones where they are neither a column nor editable;
    `hasPlan` and `hasActuals` follow the dates; unknown fields are kept as they came. A record that names
    another organization is refused with FOREIGN_ORGANIZATION.
    """
    changes = read_changes(raw, organization_id, position, textual=textual)
    return changes if isinstance(changes, Fault) else with_changes(raw, changes)


def with_changes(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Make what the mirror keeps of a record of its changes."""
    record = {**raw, **changes}
    for name, value in changes.items():
        if value is LEFT_OUT:
            del record[name]
    return record


def read_changes(
    raw: Any, organization_id: str, position: str, *, textual: bool
) -> dict[str, Any] | Fault:
    """Return how what the mirror keeps differs from a record.

    Returns:
        Value by field, LEFT_OUT for a field that it has not; or why the record is refused.
    """
    if fault := _fault_of_owner(raw, organization_id, position):
        return fault
    found = None if textual else patterned_changes(raw)
    if found is None:
        found = _changes(raw, position, textual=textual)
    if not isinstance(found, Fault):
        _derive(raw, found, organization_id)
    return found


def _changes(raw: Mapping[str, Any], position: str, *, textual: bool) -> dict[str, Any] | Fault:
    changes: dict[str, Any] = {}
    for cast in CASTS:
        given = raw.get(cast.name)
        if given is None:
            cast.put_default(changes, is_null=cast.name in raw)
        elif wrong := cast.put(changes, given, textual=textual):
            return Fault(str(raw["pfaId"]), cast.name, wrong.code, wrong.reason, position=position)
    return changes


def _derive(raw: Mapping[str, Any], changes: dict[str, Any], organization_id: str) -> None:
    """Add what follows from other fields and is not there."""
    given = {**raw, **changes} if changes else raw
    has_plan = bool(given["originalStart"] and given["originalEnd"])
    has_actuals = bool(given["actualStart"] and given["actualEnd"])
    if raw.get("organization") != organization_id:
        changes["organization"] = organization_id
    if raw.get("hasPlan") is not has_plan:
        changes["hasPlan"] = has_plan
    if raw.get("hasActuals") is not has_actuals:
        changes["hasActuals"] = has_actuals


def _fault_of_owner(raw: Any, organization_id: str, position: str) -> Fault | None:
    """Return why a record is not one of the organization."""
    if not isinstance(raw, Mapping):
        return Fault(
            "",
            "",
            FaultCode.INVALID_TYPE,
            f"must be an object, not {shorten(raw)}",
            position=position,
        )
    pfa_id = raw.get("pfaId")
    wrong = _wrong_id(pfa_id)
    if wrong:
        known = pfa_id if isinstance(pfa_id, str) else ""
        return Fault(known, "pfaId", wrong.code, wrong.reason, position=position)
    own = raw.get("organization")
    if own not in (None, "", organization_id):
        return Fault(
            str(pfa_id), "organization", FOREIGN, f"belongs to {shorten(own)}", position=position
        )
    return None


def _wrong_id(pfa_id: Any) -> Wrong | None:
    if pfa_id in (None, ""):
        return Wrong(FaultCode.MISSING_REQUIRED_FIELD, "is missing")
    if not isinstance(pfa_id, str):
        return Wrong(FaultCode.INVALID_TYPE, f"must be a text, not {shorten(pfa_id)}")
    if pfa_id.isascii() and pfa_id.isprintable() and pfa_id[0] != " " and len(pfa_id) <= MAX_ID:
        return None
    key = normal_key(pfa_id)
    if not key or len(key) > MAX_ID:
        return Wrong(FaultCode.INVALID_RANGE, f"must have 1 to {MAX_ID} characters")
    found = read_value(FIELDS["pfaId"], key)
    return found if isinstance(found, Wrong) else None


def alters_key(raw: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Return whether a text that identifies or groups the record came in another form."""
    if raw["pfaId"] != record["pfaId"]:
        return True
    if not Cast.altered:  # which nearly all files leave so
        return False
    return any((given := raw.get(name)) and given != record.get(name) for name in KEYS)
