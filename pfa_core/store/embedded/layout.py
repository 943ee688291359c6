"""Layout of an embedded server's root."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
_SOCKET_PATH_MAX = 103 if sys.platform == "darwin" else 107
_SOCKET_NAME = ".s.PGSQL.5432"
_DATA = re.compile(r"pgdata-[1-9]\d*")
_KEPT = re.compile(r"pgdata-[1-9]\d*-kept(-\d+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of one root."""

    root: Path

    @property
    def lock(self) -> Path:
        """The file that is locked while a server is made, started or stopped."""
        return self.root / ".lock"

    @property
    def setup_log(self) -> Path:
        """The output of initdb."""
        return self.root / "setup.log"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.root / "postgres.log"

    @property
    def sockets(self) -> Path:
        """Return the directory of the unix socket.

        It is in /tmp when its path would be too long for a socket, or has a comma: libpq takes that for
        the end of one host's name and the beginning of the next one's.
        """
        inside = self.root / "run"
        if len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_MAX and "," not in str(inside):
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path("/tmp") / f"pfa-{digest}"  # noqa: S108 - its owner is checked

    @property
    def socket(self) -> Path:
        """The unix socket."""
        return self.sockets / _SOCKET_NAME

    @property
    def beside(self) -> Path:
        """The directory of what brings the data over to another major version."""
        return self.root / ".upgrade"

    @property
    def old(self) -> Place:
        """Where the server of before runs meanwhile."""
        return Place(self.beside / "old")

    @property
    def new(self) -> Place:
        """Where the new one does."""
        return Place(self.beside / "new")

    def data(self, of_major: int) -> Path:
        """The data directory of a major version."""
        return self.root / f"pgdata-{of_major}"


def place(root: Path) -> Place:
    """Make the absolute layout of a root."""
    return Place(root.absolute())


def data_directories(root: Path) -> list[Path]:
    """List the complete data directories of a root by major version, the newest first."""
    found = [
        path for path in root.glob("pgdata-*") if _DATA.fullmatch(path.name) and _is_complete(path)
    ]
    return sorted(found, key=major_of, reverse=True)


def kept_directories(root: Path) -> list[Path]:
    """List the data directories that were kept aside when newer ones took their place."""
    return sorted(path for path in root.glob("pgdata-*") if _KEPT.fullmatch(path.name))


def kept(data: Path) -> Path:
    """Choose a free name under which a data directory is kept aside."""
    names = (f"{data.name}-kept{number}" for number in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path for name in names if not os.path.lexists(path := data.with_name(name)))


def major_of(data: Path) -> int:
    """Return the major version that a data directory's name says."""
    return major(data.name.removeprefix("pgdata-"))


def _is_complete(data: Path) -> bool:
    try:
        (data / "PG_VERSION").stat()
    except PermissionError:
        # Another user's, which the caller may not read.
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def major(of_version: str) -> int:
    """Extract the major number of a version: 18 of "18.6"."""
    digits = re.match(r"\d+", of_version)
    return int(digits[0]) if digits else 0


def bytes_of(directory: Path) -> int:
    """Count the bytes of the files below a directory, but of those that go meanwhile."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
