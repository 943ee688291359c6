"""Directories of the embedded server, made with the modes that protect them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pfa_core.errors import ConfigInvalid
from pfa_core.store.embedded.accounts import Account


def make_root(root: Path) -> None:
    """Make the root directory.

    It is private, or for root one that the service user can traverse.
    """
    if root.is_dir():
        return
    # With root's umask of 077 the service user could not traverse the parents made here.
    before = os.umask(0o022 if os.geteuid() == 0 else 0o077)
    try:
        root.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)


def closed_to(owner: Account, root: Path) -> Path | None:
    """Find the outermost directory on the way to `root` that is closed to a user.

    It is closed by its mode; None where all are open.
    Access lists are not read: ask only after something was refused.
    """
    for directory in (*reversed(root.parents), root):
        try:
            found = directory.stat()
        except OSError:
            return directory
        shift = 6 if found.st_uid == owner.uid else 3 if found.st_gid == owner.gid else 0
        if not found.st_mode >> shift & stat.S_IXOTH:
            return directory
    return None


def make_socket_directory(at: Path, owner: Account) -> None:
    """Make the directory of the socket, which its mode protects.

    Raises:
        ConfigInvalid: A file, or a directory of another user, has its name.
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
