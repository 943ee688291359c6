"""Reading of baseline records.

Records are cast, completed with defaults, and refused one by one with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.keys import normal_key
from pfa_core.model.record import FIELDS, MAX_ID, Field, Kind
from pfa_core.model.values import MAX_MONEY, Wrong, read_text, read_value, shorten

FOREIGN = FaultCode.FOREIGN_ORGANIZATION
MAX_REMEMBERED = 50_000
LEFT_OUT: Any = object()  # in place of a value of a field that the mirror does not keep
_MAX_MONEY = int(MAX_MONEY)  # compared with whole numbers, which is faster


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
    changes: dict[str, Any] = {}
    # Spelt out here for the values that nearly all are: a call for each takes longer than what it does.
    for cast, name, default, may_lack, plain, kind, from_text, from_json in _STEPS:
        given = raw.get(name)
        if given is None:
            value = default
        elif given.__class__ is str:
            if given and len(given) <= plain:
                continue
            value = (from_text if textual else from_json).get(given)
            if value is None:
                value = cast.value(given, textual=textual)
        elif (kind is Kind.FLAG and (given is True or given is False)) or (
            kind is Kind.MONEY and given.__class__ is int and 0 <= given < _MAX_MONEY
        ):
            continue
        else:
            value = cast.value(given, textual=textual)
        if value.__class__ is Wrong:
            return Fault(str(raw["pfaId"]), name, value.code, value.reason, position=position)
        # Null is kept of the fields that are always there.
        if (value is given and (value is not None or may_lack != (name in raw))) or (
            value.__class__ is str and value == given
        ):
            continue
        changes[name] = LEFT_OUT if value is None and may_lack else value
    _derive(raw, changes, organization_id)
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
    if not _Cast.altered:  # which nearly all files leave so
        return False
    return any((given := raw.get(name)) and given != record.get(name) for name in KEYS)


def always_there(field: Field) -> bool:
    """Return whether the mirror holds the field even when it is null."""
    return (bool(field.column) or field.editable) and not field.sparse


def cast_value(field: Field, value: Any, *, textual: bool) -> Any | Wrong:
    """Convert one field's value, or return what is wrong.

    A missing value becomes the field's default.
    """
    if value is None or (textual and value == ""):
        return field.default
    by_text = textual or field.kind is Kind.CHOICE
    if isinstance(value, str) and by_text and field.kind is not Kind.TEXT:
        result = read_text(field, value)
    else:
        result = read_value(field, value)
    return field.default if result is None or (field.code and result == "") else result


def is_blank(value: Any) -> bool:
    """Return whether a field with a default gets it for want of a value."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "null"))


def recurs(field: Field) -> bool:
    """Return whether records share the texts of the field.

    Free texts and ids are not shared.
    """
    return field.kind is not Kind.TEXT or (bool(field.column) and field.name != "pfaId")


class _Cast:
    """The cast of one field.

    Texts recur in a million records (a date, a category): each is converted once, and its value
    remembered. `altered`: a cast of this process has given a key another form.
    """

    altered: ClassVar[bool] = False

    def __init__(self, field: Field) -> None:
        self.name, self.default, self.may_lack = field.name, field.default, not always_there(field)
        self._field = field
        self._recurs = recurs(field)
        self.from_text: dict[str, Any] = {}
        self.from_json: dict[str, Any] = {}
        # Up to this length a text stays as it is; 0: it never does.
        is_free = field.kind is Kind.TEXT and not (self._recurs or field.is_key or field.code)
        self.plain = field.max_length if is_free else 0

    def step(self) -> tuple[Any, ...]:
        """Return what `read_record` looks at."""
        own = (self, self.name, self.default, self.may_lack, self.plain, self._field.kind)
        return (*own, self.from_text, self.from_json)

    def value(self, given: Any, *, textual: bool) -> Any | Wrong:
        """Convert a value to what the mirror keeps, or return what is wrong with it."""
        if not (self._recurs and isinstance(given, str)):
            return cast_value(self._field, given, textual=textual)
        remembered = self.from_text if textual else self.from_json
        value = remembered.get(given)
        if value is None:
            value = cast_value(self._field, given, textual=textual)
            if self._field.is_key and value != given:
                _Cast.altered = True
            if len(remembered) < MAX_REMEMBERED:
                remembered[given] = value
        return value


KEYS = [field.name for field in FIELDS.values() if field.is_key]
_STEPS = [_Cast(field).step() for field in FIELDS.values()]
