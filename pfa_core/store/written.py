"""The place in the server's log up to which a user's own changes reach.

A replica that has come so far shows them. It is kept for the processes that come after, which each command is.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r"(\d{1,20}) ([0-9A-F]{1,8})/([0-9A-F]{1,8})\n?")
_LONGEST = 64  # bytes of such a line


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the log of a server.

    `system` tells the server from those with another history.
    """

    system: str
    lsn: str

    @property
    def number(self) -> int:
        """Return the place as a number of bytes."""
        high, _, low = self.lsn.partition("/")
        return (int(high, 16) << 32) + int(low, 16)


@dataclass
class Written:
    """The last place, of this process or as a file keeps it.

    Args:
        path: The file; None: there is none. What cannot be read or written is as if it were not there.
    """

    path: Path | None = None
    _last: Place | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def last(self) -> Place | None:
        """Return up to where a replica must have come; None: nothing was written."""
        with self._lock:
            return _later(self._last, self._read())

    def note(self, place: Place) -> None:
        """Note a place; one that lies before the last is passed over."""
        with self._lock:
            self._last = _later(place, self._last)
            self._keep(place)

    def forget(self) -> None:
        """Forget what the server itself, put back to an earlier state, does not have."""
        with self._lock:
            self._last = None
            if self.path:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def _read(self) -> Place | None:
        if self.path is None:
            return None
        try:
            with self.path.open(encoding="ascii", errors="replace") as file:
                return _place(file.read(_LONGEST))
        except OSError:
            return None

    def _keep(self, place: Place) -> None:
        if self.path is None:
            return
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(descriptor, "r+", encoding="ascii", errors="replace") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # of two processes the later place stays
                if _later(place, _place(file.read(_LONGEST))) == place:
                    file.seek(0)
                    file.write(f"{place.system} {place.lsn}\n")
                    file.truncate()


def _place(text: str) -> Place | None:
    match = _LINE.fullmatch(text)
    return Place(match[1], f"{match[2]}/{match[3]}") if match else None


def _later(one: Place | None, other: Place | None) -> Place | None:
    """Return the later place; of another server the first, which is the present one."""
    if one is None or other is None:
        return one or other
    return other if one.system == other.system and other.number > one.number else one
