"""The lease of a run."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from psycopg import Connection

from pfa_core.errors import LeaseHeld
from pfa_core.model.audit import Direction
from pfa_core.model.principal import Principal
from pfa_core.store import leases
from pfa_core.store.leases import Holder

LIFETIME = timedelta(seconds=30)


def _take(
    conn: Connection[Any],
    principal: Principal,
    direction: Direction,
    run_id: str,
    lifetime: timedelta,
) -> Holder | None:
    """Take the lease; who has it, when somebody does."""
    code = principal.organization_id
    while True:  # until it is ours or seen in somebody's hand
        holder = leases.holder(conn, code, direction)
        gone = holder.owner_id if holder and _is_dead(holder) else None
        taken = leases.acquire(
            conn,
            code,
            direction,
            run_id,
            owner=principal.user_id,
            host=_host(),
            pid=os.getpid(),
            lifetime=lifetime,
            gone=gone,
        )
        if taken or holder:
            return None if taken else holder


def _held(holder: Holder, organization_id: str, direction: str) -> LeaseHeld:
    host = holder.host.partition("/")[0]
    return LeaseHeld(
        f"another {direction} of {organization_id} is at work: {holder.owner} on {host}, process"
        f" {holder.pid}, since {holder.acquired_at:%Y-%m-%d %H:%M:%S} UTC",
        hint="try again later, or with --if-locked wait; a run that was killed lets go by itself"
        f" within {LIFETIME.total_seconds():.0f} seconds",
    )


def _stopped(stop: threading.Event | None, delay: float) -> bool:
    if stop is not None:
        return stop.wait(delay)
    time.sleep(delay)
    return False


@cache
def _host() -> str:
    """This machine since its last start, and the space its process ids are of."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    # Elsewhere nobody can tell whether a process is gone: leases expire.
    return f"{socket.gethostname()}/{os.urandom(8).hex()}"


def _is_dead(holder: Holder) -> bool:
    """Whether the holder was a process of this machine that is no more: its lease need not expire."""
    return holder.host == _host() and _is_gone(holder.pid)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Killed, and nobody has looked at it yet."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def _elapsed() -> float:
    """Seconds that go on while the machine sleeps, where there is such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
