"""The lock that is held while an embedded server is made, started or stopped."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pfa_core.errors import DatabaseUnavailable


@contextmanager
def locked(at: Path, seconds: float) -> Iterator[None]:
    """Hold the lock file for the block.

    Raises:
        DatabaseUnavailable: Another process held it for that many seconds.
    """
    # 0600: a process that can open the lock file could hold the lock for ever.
    descriptor = os.open(at, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:
            # The owner of the root must be able to lock the file after root made it.
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
                    "another process is still starting, stopping or upgrading the embedded server",
                    hint="try again in a minute",
                ) from None
            time.sleep(0.02)
        else:
            return
