"""Conversion of records between the write services and the mirror."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pfa_core.errors import Fault
from pfa_core.model.baseline import FOREIGN, read_record
from pfa_core.model.exchange import Failure, Reading, RetryAdvice
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.values import Wrong, read_text
from pfa_core.pems.http.failures import protocol_failure
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.profile import PemsProfile


def reading_of(
    shown: Mapping[str, Any],
    pfa_id: str,
    profile: PemsProfile,
    *,
    version: str,
    stamp: str,
    updated_by: str = "",
) -> Reading | Failure:
    """Convert what a service shows of a record to what the mirror would hold.

    Fields that the service does not show are left out; `hasPlan` and `hasActuals` come with their dates.

    Returns:
        A Failure for a record of another organization, a malformed one, or another than asked.
    """
    code = shown.get("organization")
    raw = {name: _read(profile.field_map, name, value) for name, value in shown.items()}
    raw |= {"pfaId": shown.get("pfaId", pfa_id), "pemsVersion": stamp or shown.get("pemsVersion")}
    raw["organization"] = profile.organization_of(code) if isinstance(code, str) else code
    record = read_record(raw, profile.organization_id, "", textual=False)
    if isinstance(record, Fault):
        message = f"the record {record.field} {record.message}".replace("  ", " ")
        if record.code == FOREIGN:
            return Failure(FOREIGN, message, RetryAdvice.NONE)
        return protocol_failure(f"PEMS's answer: {message}", RetryAdvice.NONE, written=False)
    if record["pfaId"] != pfa_id:
        return protocol_failure("PEMS answered with another record", written=False)
    return Reading(version, _only_shown(record, raw), updated_by)


def why_unwritable(field_map: FieldMap, changes: Mapping[str, Any]) -> str:
    """Return which change PEMS cannot hold exactly in its own units; empty for none."""
    for name, value in changes.items():
        chain = field_map.chains.get(name)
        if chain is None or value is None or isinstance(value, bool):
            continue
        if not chain.is_reversible:
            return f"{name} cannot be written: its transforms in the field map are not reversible"
        if chain.write(_text(value)) is None:
            return f"{name} cannot be written: its value has no exact counterpart in PEMS"
    return ""


def outgoing(field_map: FieldMap, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert changes to PEMS's units; `why_unwritable` must be empty for them."""
    if not field_map.chains:
        return changes
    return {name: _write(field_map, name, value) for name, value in changes.items()}


def _read(field_map: FieldMap, name: str, value: Any) -> Any:
    chain = field_map.chains.get(name)
    if chain is None or isinstance(value, bool | dict | list):
        return value
    text = chain.read_value("" if value is None else _text(value))
    if not text:
        return None
    field = FIELDS[name]
    if field.kind is not Kind.FLAG:
        return text
    flag = read_text(field, text)
    return text if isinstance(flag, Wrong) else flag


def _write(field_map: FieldMap, name: str, value: Any) -> Any:
    chain = field_map.chains.get(name)
    if chain is None or value is None or isinstance(value, bool):
        return value
    text = chain.write(_text(value))
    return Decimal(text) if text and FIELDS[name].kind is Kind.MONEY else text


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _only_shown(record: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record without the defaults of fields that the service does not show."""
    derived = {
        "hasPlan": ("originalStart", "originalEnd"),
        "hasActuals": ("actualStart", "actualEnd"),
    }
    shown = {name: value for name, value in record.items() if name in raw and name not in derived}
    # A record leaves out what is null and neither a column nor editable; a service shows that it is.
    cleared = raw.keys() & FIELDS.keys() - record.keys()
    shown |= dict.fromkeys(name for name in cleared if name not in derived)
    for name, dates in derived.items():
        if all(date in raw for date in dates):
            shown[name] = record[name]
    return shown
