"""The lease of a run: one holder at a time per organization and direction."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from psycopg import Connection

from pfa_core.errors import LeaseHeld, PfaError
from pfa_core.model.audit import Direction
from pfa_core.model.ids import OrganizationId, RunId, UserId
from pfa_core.store import leases
from pfa_core.store.database import Database
from pfa_core.store.leases import Holder

Result = TypeVar("Result")

LIFETIME = timedelta(seconds=30)
HEARTBEATS = 6  # in a lifetime
RELEASE_ATTEMPTS = 2  # whether a broken commit succeeded is unknown; releasing twice is harmless


class Transact(Protocol):
    """The transactions of a lease's owner."""

    def __call__(self, work: Callable[[Connection[Any]], Result], /) -> Result:
        """Run work in a transaction, which the owner authorizes."""
        ...


def elapsed() -> float:
    """Return the seconds of a monotonic clock.

    The clock counts while the machine sleeps, where the machine has such a clock.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(kw_only=True)
class Lease:
    """A lease that one owner takes, renews and releases.

    It expires where the owner neither renews nor releases it.
    """

    organization_id: OrganizationId
    direction: Direction
    owner_id: RunId
    user_id: UserId
    lifetime: timedelta
    clock: Callable[[], float] = elapsed
    _renewed: float = 0.0
    _taken_over: threading.Event = field(default_factory=threading.Event)

    @property
    def lost(self) -> bool:
        """Return whether another owner may hold the lease by now."""
        late = self.clock() - self._renewed > self.lifetime.total_seconds()
        return late or self._taken_over.is_set()

    def take(self, conn: Connection[Any]) -> Holder | None:
        """Take the lease; return the holder where it is held by another owner."""
        asked = self.clock()
        while True:  # another owner may release it between both statements
            holder = leases.holder(conn, self.organization_id, self.direction)
            taken = leases.acquire(
                conn,
                self.organization_id,
                self.direction,
                self.owner_id,
                owner=self.user_id,
                host=local_host(),
                pid=os.getpid(),
                lifetime=self.lifetime,
                gone=holder.owner_id if holder and _is_dead(holder) else None,
            )
            if taken:
                self._renewed = asked
                if self.clock() - asked > self.lifetime.total_seconds() / HEARTBEATS:
                    # A session that was given up kept the row locked: the lifetime began before that.
                    self.renew(lambda work: work(conn))
                return None
            if holder:
                return holder

    def renew(self, transact: Transact) -> bool:
        """Hold the lease for another lifetime; return False when another owner holds it."""
        asked = self.clock()
        held = transact(
            lambda conn: leases.beat(
                conn, self.organization_id, self.direction, self.owner_id, self.lifetime
            )
        )
        if held:
            self._renewed = asked
        else:
            self._taken_over.set()
        return held

    def release(self, transact: Transact) -> None:
        """Release the lease; where that fails it expires."""
        for _ in range(RELEASE_ATTEMPTS):
            with suppress(PfaError):
                transact(
                    lambda conn: leases.release(
                        conn, self.organization_id, self.direction, self.owner_id
                    )
                )
                return

    def held_by(self, holder: Holder) -> LeaseHeld:
        """Return the error that names the holder."""
        host = holder.host.partition("/")[0]
        return LeaseHeld(
            f"another {self.direction} of {self.organization_id} is running: {holder.owner} on {host},"
            f" process {holder.pid}, since {holder.acquired_at:%Y-%m-%d %H:%M:%S} UTC",
            hint="try again later, or with --if-locked wait; the lease of a killed run expires within"
            f" {LIFETIME.total_seconds():.0f} seconds",
        )


@contextmanager
def heartbeat(
    lease: Lease, db: Database, transact_on: Callable[[Database], Transact]
) -> Iterator[None]:
    """Renew the lease from a thread with a connection of its own.

    The connection of the owner may be busy.

    Args:
        transact_on: Returns the owner's transactions on a handle.
    """
    done = threading.Event()
    pause = lease.lifetime.total_seconds() / HEARTBEATS

    def renew_regularly() -> None:
        # Where this connection alone is silent, another one has to renew the lease before it expires.
        with db.beside(silence_limit=pause) as own:
            while not done.wait(pause) and not lease.lost:
                with suppress(PfaError):  # the database was not reached; `lost` bounds the time
                    lease.renew(transact_on(own))

    thread = threading.Thread(target=renew_regularly, name="pfa-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)


@cache
def local_host() -> str:
    """Return the name of this machine's boot and of its space of process ids."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    # Without /proc it is unknown whether a process still runs: leases expire.
    return f"{socket.gethostname()}/{os.urandom(8).hex()}"


def _is_dead(holder: Holder) -> bool:
    """Return whether the holder was a process of this boot that has ended."""
    return holder.host == local_host() and _has_ended(holder.pid)


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Return whether the process has ended and its parent has not waited for it yet."""
    with suppress(OSError, IndexError):
        return (
            Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
            == "Z"
        )
    return False
