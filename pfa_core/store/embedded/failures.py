"""Errors of the embedded server, with the end of its log as a hint."""

from __future__ import annotations

import errno
import shlex
import shutil
from pathlib import Path

from pfa_core.errors import ConfigInvalid, IoFailure, PfaError
from pfa_core.store.embedded.accounts import Account
from pfa_core.store.embedded.binaries import OWN_SERVER_HINT
from pfa_core.store.embedded.directories import closed_to
from pfa_core.store.embedded.logs import tail

# On a full disk the log may lack the message, so the free space is checked too.
_FULL = ("No space left on device", "Disk quota exceeded", "Check free disk space")
_NO_ROOM = 1_000_000


def io_error(error: OSError, root: Path) -> PfaError:
    """Make the error for what the file system refused in `root`."""
    where, why = error.filename or root, error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return IoFailure(f"{why}: {where}", hint="make room, then try again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return ConfigInvalid(
            f"the embedded server cannot use {where}: {why}",
            hint="name a directory of its user's in PFA_EMBEDDED_DIR",
        )
    return IoFailure(f"{why}: {where}")


def failure(message: str, log: Path, since: int, owner: Account) -> PfaError:
    """Make the error for a program of the user `owner` that failed.

    It is made from what the program logged after the offset `since`.
    """
    text = tail(log, since, lines=100)
    closed = closed_to(owner, log.parent) if "Permission denied" in text else None
    if closed:
        return ConfigInvalid(
            f"{message}: user {owner.name}, as which PostgreSQL runs here, cannot enter {closed}",
            hint=f"type: chmod o+x {shlex.quote(str(closed))}, or name a directory that"
            f" {owner.name} can reach in PFA_EMBEDDED_DIR",
        )
    if any(phrase in text for phrase in _FULL) or shutil.disk_usage(log.parent).free < _NO_ROOM:
        advice = f"make room in {log.parent}, then try again"
        return IoFailure(f"{message}: the disk is full", hint=with_log(advice, log, since))
    if "Permission denied" in text:
        advice = "its user must be able to reach and write the directory (PFA_EMBEDDED_DIR)"
    else:
        advice = f"correct what its log reports, or {OWN_SERVER_HINT}"
    return ConfigInvalid(message, hint=with_log(advice, log, since))


def with_log(advice: str, log: Path, since: int) -> str:
    """Append the end of a log to a hint."""
    return f"{advice}\n{log}:\n{tail(log, since)}"
