"""Files that are written beside another one, whose name they get at the end."""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
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


def name_new(temporary: Path, target: Path) -> None:
    """Give a file its name unless that is taken, which `rename` does not ask.

    Where a file system has no second names, the file is empty for a moment.

    Raises:
        FileExistsError: The name is taken.
        OSError: It cannot be given; the file stays under its first name.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        temporary.replace(target)
    else:
        temporary.unlink()


def mark_written(descriptor: int) -> None:
    """Say to other processes that a file is being written, until it is closed."""
    with suppress(OSError):  # some network file systems have no locks
        flock(descriptor, LOCK_EX | LOCK_NB)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may use a file: owner, group, permissions, a list of more users and groups."""

    owner: int
    group: int
    mode: int
    listed: bytes | None


def access_of(target: Path) -> Access | None:
    """Read who may use a file; None: there is none of that name, or it is a link."""
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    mode = (
        found.st_mode & 0o777
    )  # no bit by which a file runs as its owner: that may become the writer
    return Access(owner=found.st_uid, group=found.st_gid, mode=mode, listed=_listed(target))


def give(descriptor: int, access: Access) -> None:
    """Give a file that is written the access of the one that it replaces.

    Another owner only root can give it, a group only who is in it. Without that group its permissions would be
    another group's, and its members are among all others: both get what group and others have. A container may lack
    a group, or root a right: what the system refuses of group and owner stays as it is.
    """
    mode, listed = access.mode, access.listed
    try:
        os.chown(descriptor, -1, access.group)
    except OSError:
        mode, listed = _without_group(mode), None
    # A folder may have given the new file a list of its own. With a list, the permissions of the group are the most
    # that any of the list has: without it they would become the group's.
    _unlist(descriptor)
    if listed is not None and not _list(descriptor, listed):
        mode = _without_group(mode)
    # Before the owner: who gave a file away may not change its mode any more.
    os.fchmod(descriptor, mode)
    if os.geteuid() == 0:
        with suppress(OSError):
            os.chown(descriptor, access.owner, -1)


def _without_group(mode: int) -> int:
    """Return the permissions of a file whose group is another one."""
    both = (mode >> 3) & mode & stat.S_IRWXO
    return mode & stat.S_IRWXU | both << 3 | both


# The extended attribute in which Linux keeps an access list; elsewhere there is none to be read.
_LIST = "system.posix_acl_access"


def _listed(path: Path) -> bytes | None:
    with suppress(OSError, AttributeError):
        return os.getxattr(path, _LIST, follow_symlinks=False)
    return None


def _unlist(descriptor: int) -> None:
    with suppress(OSError, AttributeError):
        os.removexattr(descriptor, _LIST)


def _list(descriptor: int, listed: bytes) -> bool:
    with suppress(OSError, AttributeError):
        os.setxattr(descriptor, _LIST, listed)
        return True
    return False


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
