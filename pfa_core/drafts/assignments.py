"""Assignments FIELD=VALUE as deltas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pfa_core.drafts.save_faults import count
from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.model.delta import unwritable
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.values import Wrong, read_text, shorten


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `FIELD=VALUE` texts as a delta.

    Each value is read as its field's kind; an empty one or `null` clears the field.

    Raises:
        InvalidRequest: No `=`, or a field twice.
        InvalidData: A value that its field cannot have, or a field that cannot be edited.
    """
    delta: dict[str, Any] = {}
    faults: list[Fault] = []
    for assignment in assignments:
        name, text = _split(assignment)
        if name in delta:
            raise InvalidRequest(f"field listed twice: {name}")
        value = unwritable(name) or _value(name, text)
        if isinstance(value, Wrong):
            faults.append(Fault("", name, value.code, value.reason))
        delta[name] = value
    if faults:
        raise InvalidData(f"{count(len(faults), 'problem')}, nothing was saved", details=faults)
    return delta


def _split(assignment: str) -> tuple[str, str]:
    name, equals, text = assignment.partition("=")
    if not equals or not name:
        raise InvalidRequest(f"not a FIELD=VALUE: {shorten(assignment)}")
    return name, text


def _value(name: str, text: str) -> Any:
    known = FIELDS[name]
    if text == "" and known.kind is Kind.TEXT and known.default == "":
        return ""
    if text.strip() == "" and known.kind is Kind.FLAG:
        return Wrong(FaultCode.INVALID_TYPE, "must be true or false")
    return read_text(known, text)
