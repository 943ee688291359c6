"""Files of archived entries: verified, and searched."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import BinaryIO

from pfa_core import exact_json
from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.files.reading import open_file
from pfa_core.files.trail import Entry, TrailHead, TrailReader
from pfa_core.model.audit import LogEntry, LogFilter
from pfa_core.model.ids import EntryId, PfaId, RunId, SessionId, UserId
from pfa_core.store.adapters import object_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedFile:
    """A file of archived entries, read whole.

    `digest` is that of its last link, `at_number` that of the link which was asked for, `sha256` the file's
    checksum. `fault`: why it is not what was written; '' for none, and then all else is verified.
    """

    path: str
    head: TrailHead
    entries: int
    digest: bytes
    at_number: bytes | None
    sha256: str
    fault: str


@contextmanager
def opened(path: str | os.PathLike[str], *, watched: int = 0) -> Iterator[TrailReader]:
    """Open an archive.

    Raises:
        NotFound: There is no such file.
        InvalidData: It is another file.
        IoFailure: It cannot be read.
    """
    name = os.fspath(path)
    with open_file(name) as file:
        if not file.seekable():
            raise InvalidRequest(f"{name} is read twice, and a pipe only once", hint="name a file")
        yield TrailReader(file, name, watched=watched)


def examine(path: str | os.PathLike[str], *, watched: int = 0) -> ExaminedFile:
    """Read and verify an archive; what is wrong with it is in the result.

    Args:
        watched: The number of the link whose digest is asked for.

    Raises:
        NotFound, InvalidData, IoFailure: As `opened`.
    """
    with opened(path, watched=watched) as reader:
        try:
            reader.verify()
            fault = ""
        except InvalidData as error:
            fault = error.message
        return ExaminedFile(
            path=reader.name,
            head=reader.head,
            entries=reader.read,
            digest=reader.digest,
            at_number=reader.at_number,
            sha256=checksum(reader.file),
            fault=fault,
        )


def checksum(file: BinaryIO) -> str:
    """Compute the checksum of a whole file."""
    whole = sha256()
    file.seek(0)
    while block := file.read(1 << 20):
        whole.update(block)
    return whole.hexdigest()


def newest(reader: TrailReader, which: LogFilter, limit: int) -> Iterator[LogEntry]:
    """Yield the last entries of an archive that match, the newest first.

    The whole file is read and verified before the first one; no more than `limit` are in memory.

    Raises:
        InvalidData: It is cut off, or was altered.
    """
    found: deque[Entry] = deque(maxlen=limit)
    for entry in reader.entries():
        if _matches(entry, which):
            found.append(entry)
    while found:
        yield _log_entry(found.pop())


def _matches(entry: Entry, which: LogFilter) -> bool:
    equal = (
        (which.user_id, "userId"),
        (which.pfa_id, "pfaId"),
        (which.session_id, "sessionId"),
        (which.run_id, "runId"),
    )
    if any(value is not None and entry.get(name) != value for value, name in equal):
        return False
    if which.actions and entry["action"] not in which.actions:
        return False
    if which.since is None and which.until is None:
        return True
    at = datetime.fromisoformat(entry["at"])
    return (which.since is None or at >= which.since) and (which.until is None or at < which.until)


def _log_entry(entry: Entry) -> LogEntry:
    before, after = (
        object_or_none(exact_json.loads(entry[name])) if name in entry else None
        for name in ("before", "after")
    )
    return LogEntry(
        entry_id=EntryId(entry["entryId"]),
        at=datetime.fromisoformat(entry["at"]),
        user_id=UserId(entry["userId"]),
        action=entry["action"],
        pfa_id=PfaId(entry["pfaId"]) if "pfaId" in entry else None,
        session_id=SessionId(entry["sessionId"]) if "sessionId" in entry else None,
        run_id=RunId(entry["runId"]) if "runId" in entry else None,
        before=before,
        after=after,
        reason=entry.get("reason"),
    )
