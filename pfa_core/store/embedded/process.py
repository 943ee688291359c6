"""The process of an embedded server, on Linux and macOS."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

# PostgreSQL creates postmaster.pid first and writes it a moment later.
_PID_FILE_SETTLES = 1.0


def server_pid(data: Path) -> int | None:
    """Find the pid of the running server of a data directory; None: it does not run."""
    pid = _recorded_pid(data)
    return pid if pid is not None and is_server_of(pid, data) else None


def is_being_recorded(data: Path) -> bool:
    """Return whether postmaster.pid is incomplete because it is being written."""
    try:
        recent = time.time() - (data / "postmaster.pid").stat().st_mtime < _PID_FILE_SETTLES
    except FileNotFoundError:
        return False
    return recent and _recorded_pid(data) is None


def is_recorded_ready(data: Path) -> bool:
    """Return whether postmaster.pid records that the server is ready.

    Its eighth line is the record.
    """
    lines = _recorded_lines(data)
    return len(lines) > 7 and lines[7].strip() == "ready"


def _recorded_pid(data: Path) -> int | None:
    first = next(iter(_recorded_lines(data)), "")
    return int(first) if re.fullmatch(r"[1-9]\d{0,9}", first.strip()) else None


def _recorded_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def is_server_of(pid: int, data: Path) -> bool:
    """Return whether a process is the server of this data directory.

    A process that only reuses its pid is not. The command line decides: other users' working directories
    are hidden from root in containers.
    """
    if not is_alive(pid):
        return False
    argv = _command_line(pid)
    if not argv or Path(argv[0]).name != "postgres":
        return False
    named = argv[argv.index("-D") + 1 :][:1] if "-D" in argv else []
    return (bool(named) and _same(named[0], data)) or _same(f"/proc/{pid}/cwd", data)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
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
    # macOS: one string; the space before the next option ends the path, which may contain others.
    argv = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    command, found, rest = shown.partition(" -D ")
    return [command, "-D", rest.partition(" -c ")[0]] if found else [command]


def _same(one: str, other: Path) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
