"""Relative values of changes, computed from the records that they change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_faults import fault_of, placed
from pfa_core.errors import Fault, FaultCode
from pfa_core.model.delta import Change, Record
from pfa_core.model.record import FIELDS
from pfa_core.model.relative import Relative
from pfa_core.model.values import Wrong


@dataclass(slots=True)
class Computed:
    """Changes without relative values, and what has none.

    `missing`: faults of records without the value that one starts from. `skipped`: their PFA ids, where
    they are to be skipped.
    """

    changes: Sequence[Change]
    faults: list[Fault] = field(default_factory=list)
    missing: int = 0
    skipped: list[str] = field(default_factory=list)


def sources(changes: Iterable[Change]) -> set[str]:
    """Return the fields whose values others take."""
    return {
        value.source
        for change in changes
        for value in change.delta.values()
        if isinstance(value, Relative) and value.source
    }


def compute(
    changes: Sequence[Change], records: Mapping[str, CurrentRecord], *, skip_missing: bool
) -> Computed:
    """Replace relative values by what they make of each record, as the caller sees it.

    All of a change start from the record before it. A change of a record that does not exist stays.

    Args:
        skip_missing: Leave a field out where the value that it starts from is missing.
    """
    if not any(isinstance(value, Relative) for one in changes for value in one.delta.values()):
        return Computed(changes)
    kept: list[Change] = []
    found = Computed(kept)
    for change in changes:
        current = records.get(change.pfa_id)
        if current is None:
            kept.append(change)
            continue
        delta = _delta(change, current.merged(), found, skip_missing=skip_missing)
        if delta:
            kept.append(change.holding(delta))
    return found


def _delta(
    change: Change, record: Record, found: Computed, *, skip_missing: bool
) -> dict[str, Any] | None:
    """Return the values of a change: none where all are skipped, None for faults."""
    delta: dict[str, Any] = {}
    faults: list[Fault] = []
    skipped = False
    for name, value in change.delta.items():
        result = _value(name, value, record)
        if result is None and isinstance(value, Relative):
            skipped = skipped or skip_missing
            if not skip_missing:
                found.missing += 1
                faults.append(_missing(change, name, value))
        elif isinstance(result, Wrong):
            faults.append(fault_of(change, name, result.code, result.reason))
        else:
            delta[name] = result
    found.faults += placed(faults, change)
    if skipped:
        found.skipped.append(change.pfa_id)
    return None if faults else delta


def _value(name: str, value: Any, record: Record) -> Any | Wrong:
    """Return the new value of a field; None where a relative one starts from nothing."""
    if not isinstance(value, Relative):
        return value
    start = record.get(value.source or name)
    return None if start is None else value.of(FIELDS[name], start)


def _missing(change: Change, name: str, value: Relative) -> Fault:
    reason = (
        f"{value.source} is missing" if value.source else f"is missing: nothing to apply {value} to"
    )
    return fault_of(change, name, FaultCode.MISSING_REQUIRED_FIELD, reason)
