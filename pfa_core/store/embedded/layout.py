"""What the embedded server leaves on the machine: directories, logs, its lock, its process.

Linux and macOS only.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, IoFailure, PfaError

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
_SOCKET_PATH_MAX = 103 if sys.platform == "darwin" else 107
_SOCKET_NAME = ".s.PGSQL.5432"

# PostgreSQL creates postmaster.pid first and writes it a moment later.
_PID_FILE_SETTLES = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """The OS user a server runs as; `switch` when that is another than ours (we are root)."""

    name: str
    uid: int
    gid: int
    switch: bool


# -- directories ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything of one root lies."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held while a server is made, started or stopped."""
        return self.root / ".lock"

    @property
    def setup_log(self) -> Path:
        """What initdb said."""
        return self.root / "setup.log"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.root / "postgres.log"

    @property
    def sockets(self) -> Path:
        """The directory of the unix socket; in /tmp when its path would be too long for one."""
        inside = self.root / "run"
        if len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_MAX:
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
    """The layout of a root, whatever the working directory becomes."""
    return Place(root.absolute())


def data_directories(root: Path) -> list[Path]:
    """The data directories of a root that were finished, by major version, newest first."""
    found = [path for path in root.glob("pgdata-*") if _is_whole(path)]
    return sorted(found, key=lambda path: major(path.name.removeprefix("pgdata-")), reverse=True)


def _is_whole(data: Path) -> bool:
    try:
        (data / "PG_VERSION").stat()
    except PermissionError:
        # Another user's, and not for us to see into.
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def major(of_version: str) -> int:
    """The major number of a version: 18 of "18.6"."""
    digits = re.match(r"\d+", of_version)
    return int(digits[0]) if digits else 0


def make_root(root: Path) -> None:
    """Make the root directory: ours alone, or passable for the service user when we are root."""
    if root.is_dir():
        return
    # A root whose umask is 077 would shut the service user out of every parent made here.
    before = os.umask(0o022 if os.geteuid() == 0 else 0o077)
    try:
        root.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)


def make_socket_directory(at: Path, owner: Account) -> None:
    """Make the directory whose mode is all that guards the socket.

    Raises:
        ConfigInvalid: Something of another user's is in its place.
    """
    try:
        at.mkdir(mode=0o700)
        os.chown(at, owner.uid, owner.gid)
    except FileExistsError:
        found = at.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid:
            raise ConfigInvalid(
                f"{at} is not a directory of user {owner.name}", hint=f"remove {at}"
            ) from None
        at.chmod(0o700)


def open_log(path: Path, owner: Account) -> int:
    """Open a log for appending, given to the server's user; returns the descriptor."""
    # Root must not be led elsewhere by a link that the service user planted.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if owner.switch:
        os.fchown(descriptor, owner.uid, owner.gid)
    return descriptor


def size(path: Path) -> int:
    """The length of a file in bytes, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def tail(path: Path, since: int = 0, lines: int = 12) -> str:
    """The last lines of a log, none from before the offset `since`."""
    try:
        with path.open("rb") as log:
            log.seek(max(since, size(path) - 8192))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


@contextmanager
def locked(at: Path, seconds: float) -> Iterator[None]:
    """Hold the lock file for the block.

    Raises:
        DatabaseUnavailable: Another process held it for that many seconds.
    """
    # 0600: whoever may open a lock file may hold it for ever.
    descriptor = os.open(at, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:
            # Root may look after another user's server, who must still be able to.
            os.fchown(descriptor, at.parent.stat().st_uid, -1)
        _wait_for_lock(descriptor, time.monotonic() + seconds)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    "another process is still starting or stopping the embedded server",
                    hint="try again in a minute",
                ) from None
            time.sleep(0.02)
        else:
            return


def io_error(error: OSError, root: Path) -> PfaError:
    """The error to raise for what the file system refused somewhere in `root`."""
    where, why = error.filename or root, error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return IoFailure(f"{why}: {where}", hint="make room, then try again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return ConfigInvalid(
            f"the embedded server cannot use {where}: {why}",
            hint="name a directory of its user's in PFA_EMBEDDED_DIR",
        )
    return IoFailure(f"{why}: {where}")


# -- the process ------------------------------------------------------------------------------


def server_pid(data: Path) -> int | None:
    """The pid of the live server of a data directory; None when there is none."""
    pid = _noted_pid(data)
    return pid if pid is not None and is_server_of(pid, data) else None


def is_being_noted(data: Path) -> bool:
    """Whether postmaster.pid is unreadable only because it is being written right now."""
    try:
        young = time.time() - (data / "postmaster.pid").stat().st_mtime < _PID_FILE_SETTLES
    except FileNotFoundError:
        return False
    return young and _noted_pid(data) is None


def is_noted_ready(data: Path) -> bool:
    """Whether the server itself says, on the eighth line of postmaster.pid, that it is up."""
    lines = _noted_lines(data)
    return len(lines) > 7 and lines[7].strip() == "ready"


def _noted_pid(data: Path) -> int | None:
    first = next(iter(_noted_lines(data)), "")
    return int(first) if re.fullmatch(r"[1-9]\d{0,9}", first.strip()) else None


def _noted_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def is_server_of(pid: int, data: Path) -> bool:
    """Whether a live process is the server of this data directory, and not one that got its pid.

    The command line decides: other users' working directories are hidden from root in containers.
    """
    if not is_alive(pid):
        return False
    argv = _command_line(pid)
    if not argv or Path(argv[0]).name != "postgres":
        return False
    named = argv[argv.index("-D") + 1 :][:1] if "-D" in argv else []
    return (bool(named) and _same(named[0], data)) or _same(f"/proc/{pid}/cwd", data)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return not Path("/proc/self").exists() and _answers_signals(pid)
    return state.rpartition(")")[2].split()[0] not in "ZX"


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _command_line(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        return [os.fsdecode(part) for part in raw.split(b"\0")]
    except OSError:
        return [] if Path("/proc/self").exists() else _command_line_from_ps(pid)


def _command_line_from_ps(pid: int) -> list[str]:
    # macOS: one string; the blank before the next option ends the path, which may hold others.
    argv = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    command, found, rest = shown.partition(" -D ")
    return [command, "-D", rest.partition(" -c ")[0]] if found else [command]


def _same(one: str, other: Path) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
