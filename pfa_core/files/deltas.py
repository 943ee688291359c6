"""Delta files: JSON (an object, an array, one modification), JSONL, CSV → changes.

An invalid file ends the reading; faults of single modifications are collected.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.exact_json import JsonFault, loads_strict
from pfa_core.files.reading import read_text, source_name
from pfa_core.model.delta import Change, unwritable
from pfa_core.model.record import FIELDS, MAX_ID
from pfa_core.model.values import Wrong, shorten
from pfa_core.model.values import read_text as read_field_text

MAX_REASON = 2000
MAX_SESSION = 200
_FILE_KEYS = ("sessionId", "organization", "modifications")
_CHANGE_KEYS = ("pfaId", "delta", "changeReason", "expectedVersion")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaFile:
    """The changes of a file in its order, and the faults of its single modifications."""

    changes: tuple[Change, ...]
    faults: tuple[Fault, ...]
    session_id: str | None
    organization_id: str | None
    source: str


def read_delta_file(path: str, *, stdin: BinaryIO | None = None) -> DeltaFile:
    """Read a delta file; `-` is standard input.

    Raises:
        NotFound, IoFailure: The file is missing or cannot be read.
        InvalidData: It is not UTF-8, not JSON (the message has line and column) or of another shape.
    """
    text = read_text(path, stdin)
    name = source_name(path)
    if not text.strip():
        raise InvalidData(f"{name} is empty, nothing was saved")
    if path.lower().removesuffix(".gz").endswith(".csv"):
        items, head = list(_csv_items(text, name)), {}
    else:
        items, head = _json_items(text, name)
    read = [read_change(item, position) for position, item in items]
    return DeltaFile(
        changes=tuple(item for item in read if isinstance(item, Change)),
        faults=tuple(fault for item in read if not isinstance(item, Change) for fault in item),
        session_id=_short_text(head, "sessionId", name),
        organization_id=_short_text(head, "organization", name),
        source=name,
    )


def read_change(item: Any, position: str) -> Change | list[Fault]:
    """Read one modification of a file, or return the faults of its outer shape."""
    if not isinstance(item, dict):
        reason = f"must be an object, not {shorten(item)}"
        return [Fault("", "", FaultCode.INVALID_TYPE, reason, position=position)]
    pfa_id = item.get("pfaId")
    if not isinstance(pfa_id, str) or not pfa_id.strip() or len(pfa_id) > MAX_ID:
        code = FaultCode.INVALID_TYPE if "pfaId" in item else FaultCode.MISSING_REQUIRED_FIELD
        return [
            Fault(
                "", "pfaId", code, f"must be a text of 1 to {MAX_ID} characters", position=position
            )
        ]
    faults = [Fault(pfa_id, *found, position=position) for found in _faults(item)]
    if faults:
        return faults
    reason, version = item.get("changeReason"), item.get("expectedVersion")
    return Change(pfa_id, item["delta"], reason, expected_version=version, position=position)


_Found = tuple[str, FaultCode, str]  # field, code, message


def _faults(item: Mapping[str, Any]) -> Iterator[_Found]:
    """Find what is wrong with the outer shape of a modification."""
    known = ", ".join(_CHANGE_KEYS)
    for key in item:
        if key not in _CHANGE_KEYS:
            reason = f"is not a part of a modification ({known})"
            yield shorten(key), FaultCode.UNKNOWN_FIELD, reason
    yield from _reason_faults(item.get("changeReason"))
    if not _is_version(item.get("expectedVersion")):
        yield "expectedVersion", FaultCode.INVALID_TYPE, "must be a whole number ≥ 0"
    if "delta" not in item:
        yield "delta", FaultCode.MISSING_REQUIRED_FIELD, "is missing"


def _reason_faults(reason: Any) -> Iterator[_Found]:
    if reason is not None and not isinstance(reason, str):
        yield "changeReason", FaultCode.INVALID_TYPE, "must be a text"
    elif reason is not None and len(reason) > MAX_REASON:
        message = f"has {len(reason):,} characters; at most {MAX_REASON:,}"
        yield "changeReason", FaultCode.INVALID_RANGE, message


def _is_version(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _json_items(text: str, name: str) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    try:
        value = loads_strict(text)
    except JsonFault as fault:
        if fault.reason == "extra data" or "\n" in text.strip():
            lines = _try_jsonl(text, name)
            if lines is not None:
                return lines, {}
        raise InvalidData(f"{name}: {fault}; nothing was saved") from None
    if isinstance(value, dict) and "modifications" in value:
        unknown = [key for key in value if key not in _FILE_KEYS]
        if unknown:
            raise InvalidData(
                f"{name} has the unknown key {shorten(unknown[0])}; nothing was saved",
                hint=f"known: {', '.join(_FILE_KEYS)}",
            )
        return _numbered(value["modifications"], name), value
    if isinstance(value, dict):
        return [("modification 1", value)], {}
    return _numbered(value, name), {}


def _numbered(value: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(value, list):
        raise InvalidData(
            f"{name} must hold a list of modifications, not {shorten(value)}; nothing was saved"
        )
    if not value:
        raise InvalidData(f"{name} holds no modifications; nothing was saved")
    return [(f"modification {number}", item) for number, item in enumerate(value, 1)]


def _try_jsonl(text: str, name: str) -> list[tuple[str, Any]] | None:
    """Read the lines of a JSONL file; None when the first one is not a JSON object."""
    items: list[tuple[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            items.append((f"line {number}", loads_strict(line)))
        except JsonFault as fault:
            if not items or not isinstance(items[0][1], dict):
                return None
            place = f"line {number} column {fault.column}" if fault.column else f"line {number}"
            raise InvalidData(f"{name}: {place}: {fault.reason}; nothing was saved") from None
    return items if isinstance(items[0][1], dict) else None


def _csv_items(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the rows of a CSV.

    Columns: pfaId, changeReason, expectedVersion and the fields to change. An empty cell leaves its
    field unchanged, `null` clears it.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or []
        _check_header(header, name)
        for row in reader:
            if None in row or None in row.values():
                raise InvalidData(
                    f"{name}: line {reader.line_num} has another number of cells than the header; nothing was saved"
                )
            yield f"line {reader.line_num}", _csv_change(row)
    except csv.Error as error:
        raise InvalidData(
            f"{name}: line {reader.reader.line_num}: {error}; nothing was saved"
        ) from None


def _check_header(header: Any, name: str) -> None:
    if "pfaId" not in header:
        raise InvalidData(f"{name}: the header line must name pfaId; nothing was saved")
    if len(set(header)) != len(header):
        raise InvalidData(f"{name}: a column is listed twice in the header; nothing was saved")


def _csv_change(row: dict[str, str]) -> dict[str, Any]:
    change: dict[str, Any] = {"pfaId": row.pop("pfaId"), "delta": {}}
    reason, version = row.pop("changeReason", ""), row.pop("expectedVersion", "").strip()
    if reason:
        change["changeReason"] = reason
    if version:
        change["expectedVersion"] = (
            int(version)
            if version.isascii() and version.isdigit() and len(version) < 10
            else version
        )
    for key, cell in row.items():
        refuse = unwritable(key)
        if not cell.strip() and not refuse:
            continue
        value = cell if refuse else read_field_text(FIELDS[key], cell)
        change["delta"][key] = cell if isinstance(value, Wrong) else value
    return change


def _short_text(head: dict[str, Any], key: str, name: str) -> str | None:
    value = head.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_SESSION:
        raise InvalidData(
            f"{name}: {key} must be a text of 1 to {MAX_SESSION} characters; nothing was saved"
        )
    return value
