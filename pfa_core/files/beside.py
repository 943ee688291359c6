"""Files that are written beside another one, whose name they get at the end."""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

_LONGEST = 200  # bytes; a file's name has 255 at most, and what is added here has up to 30


def name_beside(target: Path) -> Path:
    """Return a name beside a file for what becomes its content."""
    return target.with_name(f".{_named(target)}.{os.getpid()}-{secrets.token_hex(4)}")


def _named(target: Path) -> str:
    """Return the name of a file, or what stands for one that is too long to add to it."""
    name = os.fsencode(target.name)
    if len(name) <= _LONGEST:
        return target.name
    from hashlib import sha256

    return sha256(name).hexdigest()


def mark_written(descriptor: int) -> None:
    """Say to other processes that a file is being written, until it is closed."""
    with suppress(OSError):  # some network file systems have no locks
        flock(descriptor, LOCK_EX | LOCK_NB)


def give_as(file: int | Path, replaced: os.stat_result) -> None:
    """Give a file the group, the mode and the owner of the one that it replaces.

    Another owner only root can give it, a group only who is in it. Without that group its permissions would be
    another group's: that one gets what all others have. A container may lack a group, or root a right: what the
    system refuses of group and owner stays as it is.
    """
    mode = stat.S_IMODE(replaced.st_mode)
    try:
        os.chown(file, -1, replaced.st_gid)
    except OSError:
        mode = mode & ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
    # Before the owner: who gave a file away may not change its mode any more.
    os.chmod(file, mode)
    if os.geteuid() == 0:
        with suppress(OSError):
            os.chown(file, replaced.st_uid, -1)


def remove_left(target: Path) -> None:
    """Remove what killed processes left beside a file.

    The number of such a process is free, and so is the lock of its file: a process of another machine or another
    container holds it.
    """
    left = re.compile(rf"\.{re.escape(_named(target))}\.(\d+)-[0-9a-f]{{8}}")
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            found = left.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and not _is_there(int(found[1])):
                with suppress(OSError):
                    _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    with open(path, "rb") as file:
        flock(file.fileno(), LOCK_EX | LOCK_NB)
        os.unlink(path)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True
