"""Values of the sandbox: records with versions, writes and log entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pfa_core.errors import Fault
from pfa_core.model.baseline import read_record
from pfa_core.model.casts import KEYS
from pfa_core.model.record import MAX_KEY_TEXT

RecordKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record as PEMS holds it; `changed`: the version of a field's last change."""

    pfa_id: str
    organization: str
    version: int
    updated_at: str
    data: Mapping[str, Any]
    updated_by: str = ""
    changed: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the record as the REST service shows it."""
        return {
            "pfaId": self.pfa_id,
            "organizationCode": self.organization,
            "version": self.version,
            "updatedAt": self.updated_at,
            "updatedBy": self.updated_by,
            "data": self.data,
        }


class Outcome(StrEnum):
    """Name what became of a write."""

    APPLIED = "applied"
    REPLAYED = "replayed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A requested change.

    Args:
        changes: None deletes the record.
        base_version: The version that the record must have; None: any.
        digest: Of the body, to recognize the same one under the same key.
    """

    writer: str
    organization: str
    pfa_id: str
    changes: Mapping[str, Any] | None
    by: str
    reason: str = ""
    base_version: int | None = None
    key: str = ""
    digest: str = ""
    may_create: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A write and what became of it.

    Args:
        status, answer: The first answer, for replays too.
        version: The record's new one, None where nothing changed.
        same_body: False for a replay whose body was another one.
    """

    seq: int
    at: str
    outcome: Outcome
    status: int
    write: Write
    version: int | None
    answer: Mapping[str, Any]
    same_body: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the entry as the log shows it."""
        write = self.write
        return {
            "seq": self.seq,
            "at": self.at,
            "outcome": str(self.outcome),
            "status": self.status,
            "writer": write.writer,
            "organizationCode": write.organization,
            "pfaId": write.pfa_id,
            "key": write.key,
            "baseVersion": write.base_version,
            "version": self.version,
            "changes": write.changes,
            "modifiedBy": write.by,
            "changeReason": write.reason,
            "answer": self.answer,
            "sameBody": self.same_body,
        }


def instant(text: str) -> datetime | None:
    """Parse the moment of a stamp, None for an invalid one; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_as_written(
    value: Any, organization: str, position: str, *, textual: bool
) -> dict[str, Any] | Fault:
    """Read a record and keep its keys as they are written, unlike a pull."""
    if not isinstance(value, Mapping):
        return read_record(value, organization, position, textual=textual)
    keys = {
        name: text
        for name in KEYS
        if isinstance(text := value.get(name), str) and text.strip() and len(text) <= MAX_KEY_TEXT
    }
    plain = {**value, **dict.fromkeys(keys, "x")}
    record = read_record(plain, organization, position, textual=textual)
    return record if isinstance(record, Fault) else {**record, **keys}
