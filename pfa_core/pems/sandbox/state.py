"""The state of the sandbox: records with versions, and the log of every write."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pfa_core.model.ids import Clock
from pfa_core.pems.sandbox.journal import Journal
from pfa_core.pems.sandbox.records import (
    LogEntry,
    Outcome,
    RecordKey,
    StoredRecord,
    Write,
    instant,
)


class State:
    """Records and log, in memory and in a journal; safe to use from any thread."""

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
        """Close the journal."""
        self._journal.close()

    def records(self) -> list[StoredRecord]:
        """Return all records, as they are at one moment."""
        with self._lock:
            return list(self._records.values())

    def find(self, organization: str, pfa_id: str) -> StoredRecord | None:
        """Return one record, None where it is missing."""
        return self._records.get((organization, pfa_id))

    def log(self, after: int = 0) -> list[LogEntry]:
        """Return the writes after that number, in order."""
        with self._lock:
            return self._log[max(after, 0) :]

    def load(self, baseline: Iterable[Mapping[str, Any]]) -> int:
        """Load records as version 1; known ones are not changed. Return how many were new."""
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
        """Apply a write, refuse it, or replay its first answer.

        The entry is in the journal before this returns.

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
            return replace(
                first,
                seq=seq,
                at=at,
                outcome=Outcome.REPLAYED,
                write=write,
                version=None,
                same_body=write.digest == first.write.digest,
            )
        status, answer = _judge(write, record, at)
        applied = status == HTTPStatus.OK
        return LogEntry(
            seq=seq,
            at=at,
            outcome=Outcome.APPLIED if applied else Outcome.REFUSED,
            status=status,
            write=write,
            version=answer["newVersion"] if applied else None,
            answer=answer,
        )

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
        entry: dict[str, Any] = dict(line["entry"])
        entry["write"] = Write(**entry["write"])
        entry["outcome"] = Outcome(entry["outcome"])
        self._absorb(LogEntry(**entry))

    def _stamp(self, record: StoredRecord | None) -> str:
        """Return now, or a moment after the record's last change.

        The stamps of a record must ascend: they are the only lock of the screen service.
        """
        now = self._clock().astimezone(UTC)
        last = instant(record.updated_at) if record else None
        if last is not None and last >= now.replace(microsecond=now.microsecond // 1000 * 1000):
            now = last + timedelta(milliseconds=1)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _judge(write: Write, record: StoredRecord | None, at: str) -> tuple[int, dict[str, Any]]:
    """Decide the status and answer of a write that comes for the first time."""
    if record is None and not write.may_create:
        message = f"record {write.pfa_id} was not found"
        return HTTPStatus.NOT_FOUND, {"code": "NOT_FOUND", "message": message}
    if record is not None and write.base_version not in (None, record.version):
        return HTTPStatus.CONFLICT, _version_conflict(record, write)
    version = record.version + 1 if record else 1
    message = f"{write.pfa_id} was updated"
    return HTTPStatus.OK, {"newVersion": version, "updatedAt": at, "message": message}


def _first_version(data: Mapping[str, Any], now: str) -> StoredRecord:
    stamp = str(data.get("pemsVersion") or now)
    held = {**data, "pemsVersion": stamp}
    return StoredRecord(
        pfa_id=str(data["pfaId"]),
        organization=str(data["organization"]),
        version=1,
        updated_at=stamp,
        data=held,
    )


def _next_version(record: StoredRecord | None, entry: LogEntry) -> StoredRecord:
    write, version = entry.write, entry.version or 1
    names = {"pfaId": write.pfa_id, "organization": write.organization, "pemsVersion": entry.at}
    changes = write.changes or {}
    data = {**(record.data if record else {}), **changes, **names}
    data["hasPlan"] = bool(data.get("originalStart") and data.get("originalEnd"))
    data["hasActuals"] = bool(data.get("actualStart") and data.get("actualEnd"))
    return StoredRecord(
        pfa_id=record.pfa_id if record else write.pfa_id,
        organization=record.organization if record else write.organization,
        version=version,
        updated_at=entry.at,
        data=data,
        updated_by=write.by,
        changed={**(record.changed if record else {}), **dict.fromkeys(changes, version)},
    )


def _entry_line(entry: LogEntry) -> dict[str, Any]:
    return {"entry": {**_shallow(entry), "write": _shallow(entry.write)}}


def _shallow(value: StoredRecord | LogEntry | Write) -> dict[str, Any]:
    """Convert to a dictionary as `dataclasses.asdict`, without its deep copies."""
    return {item.name: getattr(value, item.name) for item in fields(value)}


def _version_conflict(record: StoredRecord, write: Write) -> dict[str, Any]:
    sent = write.base_version or 0
    conflicting = [name for name in write.changes or () if record.changed.get(name, 0) > sent]
    return {
        "code": "VERSION_CONFLICT",
        "message": f"{record.pfa_id} is at version {record.version}, not {sent}",
        "currentVersion": record.version,
        "conflictingFields": conflicting,
    }
