"""Layout of an embedded server's root."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
_SOCKET_PATH_MAX = 103 if sys.platform == "darwin" else 107
_SOCKET_NAME = ".s.PGSQL.5432"


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

    def data(self, of_major: int) -> Path:
        """The data directory of a major version."""
        return self.root / f"pgdata-{of_major}"


def place(root: Path) -> Place:
    """Make the absolute layout of a root."""
    return Place(root.absolute())


def data_directories(root: Path) -> list[Path]:
    """List the complete data directories of a root by major version, the newest first."""
    found = [path for path in root.glob("pgdata-*") if _is_complete(path)]
    return sorted(found, key=lambda path: major(path.name.removeprefix("pgdata-")), reverse=True)


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
