"""The arrival of a send without an answer, by what PEMS shows afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pfa_core.model.delta import same
from pfa_core.model.exchange import Reading

_STAMP = "pemsVersion"  # moves with each write of any user


class Origin(StrEnum):
    """Whose write moved a record on from the version of a send.

    OWN: the send was applied, perhaps with other values. OTHER: it never was. UNKNOWN: either may be.
    """

    OWN = "own"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A send whose answer is missing.

    Args:
        version: The version that it was based on.
        changes: The values that it had.
        names: The names that PEMS may show as those of its writer.
        before: The record as it was read right before; None where the process that read it has ended.
        known: The values of its fields at that version, as far as they are known without `before`.
        recorded: The version that the mirror has.
    """

    version: str
    changes: Mapping[str, Any]
    names: frozenset[str]
    before: Reading | None
    known: Mapping[str, Any]
    recorded: str | None


def origin_of(sent: Sent, now: Reading, *, consecutive: bool) -> Origin:
    """Return whose write moved the record on to what PEMS shows now.

    Args:
        consecutive: Versions are numbers that count the writes; else they are times, and a record that
            was not read right before may have been written more than once.
    """
    signed = now.updated_by in sent.names
    if not consecutive:
        own = signed and sent.before is not None and not _moved_besides(sent, now)
        return Origin.OWN if own else Origin.UNKNOWN
    if not is_next(sent.version, now.version):
        return Origin.UNKNOWN
    if signed:
        # Another push under the same account would have left this version in the mirror.
        own = sent.recorded != now.version and not _moved_besides(sent, now)
        return Origin.OWN if own else Origin.UNKNOWN
    return Origin.OTHER if now.updated_by or _untouched(sent, now) else Origin.UNKNOWN


def is_next(sent: str, now: str) -> bool:
    """Return whether exactly one write lies between two versions."""
    return sent.isdecimal() and now.isdecimal() and int(now) == int(sent) + 1


def _moved_besides(sent: Sent, now: Reading) -> bool:
    """Return whether a field that was not sent has another value than before."""
    before = sent.before.record if sent.before else {}
    names = (before.keys() & now.record.keys()) - sent.changes.keys() - {_STAMP}
    return any(not same(before[name], now.record[name]) for name in names)


def _untouched(sent: Sent, now: Reading) -> bool:
    """Return whether the fields that were sent have the values of before."""
    before = {**sent.known, **(sent.before.record if sent.before else {})}
    return all(name in before and same(before[name], now.record.get(name)) for name in sent.changes)
