"""Assignments FIELD=VALUE as deltas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pfa_core.drafts.save_plan import count
from pfa_core.errors import (
    Fault,
    FaultCode,
    InvalidData,
    InvalidRequest,
)
from pfa_core.model.delta import unwritable
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.values import Wrong, read_text, shorten


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """`FIELD=VALUE` texts as a delta: each value read as its field's kind; empty or `null` clears.

    Raises:
        InvalidRequest: No `=`, or a field twice.
        InvalidData: A value that its field cannot have, or a field that cannot be edited.
    """
    delta: dict[str, Any] = {}
    faults: list[Fault] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{shorten(assignment)} is no FIELD=VALUE")
        if name in delta:
            raise InvalidRequest(f"{name} stands twice")
        wrong = unwritable(name)
        value = wrong or _assigned(name, text)
        if isinstance(value, Wrong):
            faults.append(Fault("", name, value.code, value.reason))
        delta[name] = value
    if faults:
        raise InvalidData(count(len(faults), "problem") + ", nothing was saved", details=faults)
    return delta


def _assigned(name: str, text: str) -> Any:
    known = FIELDS[name]
    if text == "" and known.kind is Kind.TEXT and known.default == "":
        return ""
    if text.strip() == "" and known.kind is Kind.FLAG:
        return Wrong(FaultCode.INVALID_TYPE, "must be true or false")
    return read_text(known, text)
