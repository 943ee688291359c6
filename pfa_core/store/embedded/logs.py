"""Log files of the embedded server."""

from __future__ import annotations

import os
from pathlib import Path

from pfa_core.store.embedded.accounts import Account


def open_log(path: Path, owner: Account) -> int:
    """Open a log of the server's user for appending; return the descriptor."""
    # Root must not follow a link that the service user made.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if owner.switch:
        os.fchown(descriptor, owner.uid, owner.gid)
    return descriptor


def size(path: Path) -> int:
    """Read the size of a file in bytes; 0: it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def tail(path: Path, since: int = 0, lines: int = 12) -> str:
    """Read the last lines of a log after the offset `since`."""
    try:
        with path.open("rb") as log:
            log.seek(max(since, size(path) - 8192))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
