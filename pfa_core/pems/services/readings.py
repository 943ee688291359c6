"""Values between the write services and us: what a service shows as a record, what it must be sent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pfa_core.errors import Fault
from pfa_core.model.baseline import FOREIGN, read_record
from pfa_core.model.exchange import Failure, Reading, RetryAdvice
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.values import Wrong, read_text
from pfa_core.pems.http.failures import protocol_trouble
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
    """What a service shows of a record, in our units and as the mirror would hold it.

    Fields that it does not show are not in it; `hasPlan` and `hasActuals` are there with their dates.

    Returns:
        A Trouble for a record of another organization, or one that is none or another than asked.
    """
    told = shown.get("organization")
    raw = {name: _read(profile.field_map, name, value) for name, value in shown.items()}
    raw |= {"pfaId": shown.get("pfaId", pfa_id), "pemsVersion": stamp or shown.get("pemsVersion")}
    raw["organization"] = profile.our_organization(told) if isinstance(told, str) else told
    record = read_record(raw, profile.organization_id, "", textual=False)
    if isinstance(record, Fault):
        message = f"the record {record.field} {record.message}".replace("  ", " ")
        if record.code == FOREIGN:
            return Failure(FOREIGN, message, RetryAdvice.NONE)
        return protocol_trouble(f"PEMS's answer: {message}", RetryAdvice.NONE, written=False)
    if record["pfaId"] != pfa_id:
        return protocol_trouble("PEMS answered with another record", written=False)
    return Reading(version, _only_shown(record, raw), updated_by)


def why_unwritable(field_map: FieldMap, changes: Mapping[str, Any]) -> str:
    """Which change cannot be told to PEMS in its own units without becoming another; empty for none."""
    for name, value in changes.items():
        chain = field_map.chains.get(name)
        if chain is None or value is None or isinstance(value, bool):
            continue
        if not chain.has_way_back:
            return f"{name} cannot be written: its transforms in the field map have no way back"
        if chain.write(_text(value)) is None:
            return f"{name} cannot be written: its value has no exact counterpart in PEMS"
    return ""


def outgoing(field_map: FieldMap, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Changes in PEMS's units; only those of which `why_unwritable` has nothing to say."""
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
    """The record without what the cast filled in for fields that the service does not show."""
    derived = {
        "hasPlan": ("originalStart", "originalEnd"),
        "hasActuals": ("actualStart", "actualEnd"),
    }
    shown = {name: value for name, value in record.items() if name in raw and name not in derived}
    for name, dates in derived.items():
        if all(date in raw for date in dates):
            shown[name] = record[name]
    return shown
