"""The faults of a save: found, ordered, raised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import is_
from typing import Any

from pfa_core import exact_json
from pfa_core.errors import (
    Fault,
    FaultCode,
    InvalidData,
    NotFound,
    PfaError,
    SessionMismatch,
    VersionConflict,
)
from pfa_core.model.delta import Change, clean
from pfa_core.model.relative_json import read_plain_or_relative

# Not begun within a number: else each digit of a long one that is not the last would be a place to try.
_LAST_NUMBER = re.compile(r"(?<!\d)\d+$")
_SHARED_CODES: Mapping[str, type[PfaError]] = {
    FaultCode.NOT_FOUND: NotFound,
    FaultCode.VERSION_CONFLICT: VersionConflict,
    FaultCode.SESSION_MISMATCH: SessionMismatch,
}


def clean_changes(
    changes: Sequence[Change], times: Mapping[str, int], reported: set[str]
) -> tuple[list[Change], list[Fault]]:
    """Return the valid changes, each record once, and the faults of the others.

    Args:
        times: How often a record is listed that is listed more than once.
        reported: Which of those have their fault already; more are added.
    """
    valid: list[Change] = []
    faults: list[Fault] = []
    for change in changes:
        delta, found = _clean(change)
        number = times.get(change.pfa_id, 1)
        if number > 1 and change.pfa_id not in reported:
            reported.add(change.pfa_id)
            found.append(
                fault_of(change, "pfaId", FaultCode.DUPLICATE_RECORD, f"listed {number} times")
            )
        if found:
            faults += placed(found, change)
        elif number == 1:
            valid.append(change if _is_same(delta, change.delta) else change.holding(delta))
    return valid, faults


def _is_same(delta: Mapping[str, Any], given: Any) -> bool:
    """Return whether a cleaned delta has the very values that were given."""
    return type(given) is dict and all(map(is_, delta.values(), given.values()))


def in_input_order(faults: Iterable[Fault], ids: Iterable[str]) -> list[Fault]:
    """Sort faults by their place in the input, else by that of their record."""
    places: dict[str, int] = {}
    end = 0
    for end, pfa_id in enumerate(ids, 1):
        places.setdefault(pfa_id, end - 1)

    def place(fault: Fault) -> int:
        number = _LAST_NUMBER.search(fault.position)
        return int(number[0]) if number else places.get(fault.pfa_id, end)

    return sorted(faults, key=place)


def refusal(faults: Sequence[Fault], done: str, source: str = "", *, hint: str = "") -> PfaError:
    """Return the error of faults: that of the code they share, else InvalidData.

    Args:
        done: What was not done: saved, restored.
        source: The name of the input in the message; empty: none.
    """
    codes = {fault.code for fault in faults}
    kind = _SHARED_CODES.get(next(iter(codes)), InvalidData) if len(codes) == 1 else InvalidData
    place = f" in {source}" if source else ""
    return kind(
        f"{count(len(faults), 'problem')}{place}, nothing was {done}", hint=hint, details=faults
    )


def count(number: int, noun: str) -> str:
    """Return `3 problems`, `1 problem`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _clean(change: Change) -> tuple[dict[str, Any], list[Fault]]:
    if change.read_only and not change.delta:  # a row of a list without a value to save
        delta, faults = {}, list[Fault]()
    else:
        delta, faults = clean(change.pfa_id, change.delta, read_plain_or_relative)
    if not isinstance(change.change_reason, str | None):
        faults.append(fault_of(change, "changeReason", FaultCode.INVALID_TYPE, "must be a text"))
    try:
        exact_json.refuse_texts((change.pfa_id, change.change_reason, *delta.values()))
    except exact_json.JsonFault as fault:
        shown = change.pfa_id.replace("\0", "\\0")
        faults.append(Fault(shown, "", FaultCode.INVALID_TYPE, fault.reason))
    return delta, faults


def fault_of(change: Change, name: str, code: FaultCode, message: str) -> Fault:
    """Return a fault of one field of the change; of all of it where the name is empty."""
    return Fault(change.pfa_id, name, code, message)


def placed(faults: Iterable[Fault], change: Change) -> list[Fault]:
    """Return the faults with the place of their change in the input."""
    return [replace(fault, position=change.place(fault.field)) for fault in faults]
