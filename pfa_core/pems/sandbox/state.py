"""What the sandbox holds: records with versions, and the log of every write that was judged."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pfa_core.model.ids import Clock
from pfa_core.pems.sandbox.journal import Journal

RecordKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as PEMS holds it. `changed` tells the version in which a field changed last."""

    pfa_id: str
    organization: str
    version: int
    updated_at: str
    data: Mapping[str, Any]
    updated_by: str = ""
    changed: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The record as the REST service shows it."""
        return {
            "pfaId": self.pfa_id,
            "organizationCode": self.organization,
            "version": self.version,
            "updatedAt": self.updated_at,
            "data": self.data,
        }


class Outcome(StrEnum):
    """What became of a write."""

    APPLIED = "applied"
    REPLAYED = "replayed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Write:
    """A change somebody asks for. `base_version` None does not care what it lands on; `changes`
    None takes the record away; `digest` recognizes the same body under the same key."""

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


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A write and what became of it: `version` is the record's new one, None where nothing changed;
    `status` and `answer` are the first answer, for replays too; `same_body` is False for a replay
    whose body was another one."""

    seq: int
    at: str
    outcome: Outcome
    status: int
    write: Write
    version: int | None
    answer: Mapping[str, Any]
    same_body: bool = True

    def as_json(self) -> dict[str, Any]:
        """The entry as the log shows it."""
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


class State:
    """Records and log, in memory and in a journal. Every method may be called from any thread."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: dict[RecordKey, StoredRecord] = {}
        self._log: list[LogEntry] = []
        self._answers: dict[RecordKey, LogEntry] = {}
        self._journal = Journal(path)
        self.revision = 0
        try:
            for line in self._journal.read():
                self._remember(line)
        except BaseException:
            self._journal.close()
            raise

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def records(self) -> list[StoredRecord]:
        """All records, as they are at one moment."""
        with self._lock:
            return list(self._records.values())

    def find(self, organization: str, pfa_id: str) -> StoredRecord | None:
        """One record, None where there is none."""
        return self._records.get((organization, pfa_id))

    def log(self, after: int = 0) -> list[LogEntry]:
        """The writes behind that number, in the order in which they were judged."""
        with self._lock:
            return self._log[max(after, 0) :]

    def load(self, baseline: Iterable[Mapping[str, Any]]) -> int:
        """Take records in as version 1; known ones stay as they are. How many were new."""
        with self._lock:
            new: dict[RecordKey, StoredRecord] = {}
            for data in baseline:
                record = _first_version(data, self._stamp(None))
                key = (record.organization, record.pfa_id)
                if key not in self._records:
                    new[key] = record
            self._journal.append({"record": _shallow(record)} for record in new.values())
            self._records.update(new)
            self.revision += 1
        return len(new)

    def judge(self, write: Write) -> tuple[LogEntry, StoredRecord | None]:
        """Apply a write, refuse it, or answer it as the first time; the entry is durable by then.

        Returns:
            The entry, and the record as the write left it.
        """
        with self._lock:
            entry = self._verdict(write)
            self._journal.append([_entry_line(entry)])
            self._absorb(entry)
            return entry, self._records.get((write.organization, write.pfa_id))

    def _verdict(self, write: Write) -> LogEntry:
        record = self._records.get((write.organization, write.pfa_id))
        first = self._answers.get((write.organization, write.key)) if write.key else None
        seq, at = len(self._log) + 1, self._stamp(record)
        if first is not None:
            same = write.digest == first.write.digest
            return LogEntry(
                seq, at, Outcome.REPLAYED, first.status, write, None, first.answer, same
            )
        if record is None and not write.may_create:
            message = f"record {write.pfa_id} was not found"
            answer = {"code": "NOT_FOUND", "message": message}
            return LogEntry(seq, at, Outcome.REFUSED, HTTPStatus.NOT_FOUND, write, None, answer)
        if record is not None and write.base_version not in (None, record.version):
            answer = _moved_on(record, write)
            return LogEntry(seq, at, Outcome.REFUSED, HTTPStatus.CONFLICT, write, None, answer)
        version = record.version + 1 if record else 1
        answer = {"newVersion": version, "updatedAt": at, "message": f"{write.pfa_id} was updated"}
        return LogEntry(seq, at, Outcome.APPLIED, HTTPStatus.OK, write, version, answer)

    def _absorb(self, entry: LogEntry) -> None:
        write = entry.write
        self._log.append(entry)
        if write.key:
            self._answers.setdefault((write.organization, write.key), entry)
        if entry.outcome is not Outcome.APPLIED:
            return
        key = (write.organization, write.pfa_id)
        if write.changes is None:
            del self._records[key]
        else:
            self._records[key] = _next_version(self._records.get(key), entry)
        self.revision += 1

    def _remember(self, line: Mapping[str, Any]) -> None:
        if "record" in line:
            record = StoredRecord(**line["record"])
            self._records[record.organization, record.pfa_id] = record
            return
        told: dict[str, Any] = dict(line["entry"])
        told["write"] = Write(**told["write"])
        told["outcome"] = Outcome(told["outcome"])
        self._absorb(LogEntry(**told))

    def _stamp(self, record: StoredRecord | None) -> str:
        """Now, and later than the record's last change: PEMS's only lock in the screen service."""
        now = self._clock().astimezone(UTC)
        last = instant(record.updated_at) if record else None
        if last is not None and last >= now.replace(microsecond=now.microsecond // 1000 * 1000):
            now = last + timedelta(milliseconds=1)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str) -> datetime | None:
    """The moment of a stamp, None where it is none; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _first_version(data: Mapping[str, Any], now: str) -> StoredRecord:
    stamp = str(data.get("pemsVersion") or now)
    held = {**data, "pemsVersion": stamp}
    return StoredRecord(str(data["pfaId"]), str(data["organization"]), 1, stamp, held)


def _next_version(record: StoredRecord | None, entry: LogEntry) -> StoredRecord:
    write, version = entry.write, entry.version or 1
    names = {"pfaId": write.pfa_id, "organization": write.organization, "pemsVersion": entry.at}
    changes = write.changes or {}
    data = {**(record.data if record else {}), **changes, **names}
    data["hasPlan"] = bool(data.get("originalStart") and data.get("originalEnd"))
    data["hasActuals"] = bool(data.get("actualStart") and data.get("actualEnd"))
    fresh = record or StoredRecord(write.pfa_id, write.organization, version, entry.at, {})
    changed = {**fresh.changed, **dict.fromkeys(changes, version)}
    return replace(
        fresh,
        version=version,
        updated_at=entry.at,
        data=data,
        updated_by=write.by,
        changed=changed,
    )


def _entry_line(entry: LogEntry) -> dict[str, Any]:
    return {"entry": {**_shallow(entry), "write": _shallow(entry.write)}}


def _shallow(value: StoredRecord | LogEntry | Write) -> dict[str, Any]:
    """What `dataclasses.asdict` does without its deep copies, which cost more than the rest."""
    return {item.name: getattr(value, item.name) for item in fields(value)}


def _moved_on(record: StoredRecord, write: Write) -> dict[str, Any]:
    sent = write.base_version or 0
    conflicting = [name for name in write.changes or () if record.changed.get(name, 0) > sent]
    return {
        "code": "VERSION_CONFLICT",
        "message": f"{record.pfa_id} is at version {record.version}, not {sent}",
        "currentVersion": record.version,
        "conflictingFields": conflicting,
    }
