"""The log of runs.

Its events go to the standard library's logger "pfa", each a line of JSON or of text. Nothing is written
until a handler is attached. A log that cannot be written never ends its run.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import UUID

from pfa_core.errors import IoFailure, PfaError
from pfa_core.model.ids import OrganizationId, RunId

LOGGER = logging.getLogger("pfa")
# Without a handler the standard library writes warnings to stderr.
LOGGER.addHandler(logging.NullHandler())
_BARE = re.compile(r"[^\s\"=\\]+")
_UNUSUAL = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class RunLog:
    """The log of one run; every line names the run and its organization."""

    run_id: RunId
    organization_id: OrganizationId

    def event(self, name: str, /, **fields: Any) -> None:
        """Log an expected event."""
        self._log(logging.INFO, name, fields)

    def warning(self, name: str, /, **fields: Any) -> None:
        """Log an event that needs attention; the run continues."""
        self._log(logging.WARNING, name, fields)

    def error(self, name: str, /, **fields: Any) -> None:
        """Log a failure of the run."""
        self._log(logging.ERROR, name, fields)

    def _log(self, level: int, name: str, fields: Mapping[str, Any]) -> None:
        about = {"event": name, "run": self.run_id, "organization": self.organization_id}
        LOGGER.log(level, name, extra={**about, "fields": fields})


def run_log(run_id: RunId | UUID, organization_id: OrganizationId) -> RunLog:
    """Return the log of a run.

    Fields may be JSON values, Decimal, date, datetime, timedelta, UUID, Path, Enum and exceptions,
    nested to any depth; of anything else its repr is written. The names `time`, `level`, `event`, `run`
    and `organization` are reserved.
    """
    return RunLog(RunId(str(run_id)), organization_id)


class JsonFormatter(logging.Formatter):
    """The format of one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, event, run and organization first, then the fields."""
        return _json(_document(record))


class TextFormatter(logging.Formatter):
    """The format of one line of text.

    The line holds time, level, run and event, then fields as key=value.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write values of several words, and those that are not texts, as JSON."""
        fields = _document(record)
        time, level, event = (fields.pop(name) for name in ("time", "level", "event"))
        run = _word(fields.pop("run"))
        words = [f"{_word(name)}={_word(value)}" for name, value in fields.items()]
        return " ".join([time, level, f"run={run}", _word(event), *words])


class LineHandler(logging.Handler):
    """A handler that passes every record on as one line.

    It reports its first failure and raises none.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        formatter: logging.Formatter,
        report: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._write, self._report = write, report
        self._reported = False

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the line on; never raises."""
        try:
            self._write(self.format(record))
        except Exception as error:
            if not self._reported:
                self._reported = True
                reason = error.strerror if isinstance(error, OSError) else type(error).__name__
                with suppress(Exception):
                    self._report(f"the log cannot be written: {reason}")


class LogFile:
    """A file that lines are appended to, by several processes if need be.

    Opened at once, and again after a rotation; a new file has the mode 0600. WatchedFileHandler would
    not do: its stream keeps lines that a full disk rejected, and raises on close, which ends the run.

    Raises:
        IoFailure: It cannot be opened, is a directory, or a link of another user.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = _open(path)
        except OSError as error:
            raise IoFailure(f"the log {path} cannot be opened: {error.strerror}") from error

    def write(self, line: str) -> None:
        """Append the line in one piece, so that lines of several processes do not mix."""
        self._reopen_if_rotated()
        rest = line.encode() + b"\n"
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _reopen_if_rotated(self) -> None:
        with suppress(OSError):
            if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                return
        # Should that fail, the rotated file still takes the line.
        with suppress(OSError, IoFailure):
            fresh = _open(self._path)
            os.close(self._descriptor)
            self._descriptor = fresh


@contextmanager
def attached(handler: logging.Handler, level: int = logging.INFO) -> Iterator[None]:
    """Attach the handler for the block, from this level on; close it afterwards."""
    before = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        LOGGER.setLevel(before)
        LOGGER.removeHandler(handler)
        handler.close()


def _open(path: Path) -> int:
    _refuse_foreign_link(path)
    # O_NONBLOCK: a pipe without a reader fails at once instead of waiting for one.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    os.set_blocking(descriptor, True)
    return descriptor


def _refuse_foreign_link(path: Path) -> None:
    """Refuse another user's link, which would choose a file of this user to append to."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
        raise IoFailure(f"the log {path} is another user's link")


def _document(record: logging.LogRecord) -> dict[str, Any]:
    about = vars(record)
    head = {
        "time": _instant(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname,
        "event": about.get("event", record.name),
        "run": about.get("run"),
        "organization": about.get("organization"),
    }
    fields = {str(name): _plain(value) for name, value in about.get("fields", {}).items()}
    if "event" not in about:
        fields["message"] = record.getMessage()
    if record.exc_info and record.exc_info[1]:
        fields.setdefault("error", _error(record.exc_info[1]))
    return {**head, **{name: value for name, value in fields.items() if name not in head}}


def _plain(value: Any) -> Any:
    """Convert to JSON values.

    A Decimal becomes a text: a reader's float would lose its digits.
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, BaseException):
        return _error(value)
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Decimal | UUID | date | Path) else repr(value)


def _error(error: BaseException) -> dict[str, str]:
    """Return code and message; of exceptions other than PfaError only the type."""
    if isinstance(error, PfaError):
        return {"code": error.code, "message": error.message}
    return {"code": PfaError.code, "message": f"unexpected {type(error).__name__}"}


def _instant(at: datetime) -> str:
    """Format a time as RFC 3339 in UTC, to the millisecond.

    A time without a zone is read as UTC.
    """
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value.isprintable():
        return value
    return _json(value)


def _json(value: Any) -> str:
    """Write JSON on one line.

    Letters of every script stay, terminal control characters are escaped.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNUSUAL.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    char = match[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]
