"""Options and results of a push."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pfa_core.errors import (
    Fault,
    InvalidRequest,
)
from pfa_core.model.run import IfLocked
from pfa_core.store.queue import DeadLetter
from pfa_core.sync.lease import LIFETIME

MAX_CONCURRENCY = 64


@dataclass(frozen=True, slots=True)
class PushOptions:
    """How to push.

    Args:
        session_id: Only commitments of sessions of this name.
        concurrency: Requests under way at once.
        rate: Sends a second at most; None: as fast as PEMS takes them.
        limit: Commitments at most.
        deadline: No new send after this time, and no waiting for a retry that is due later.
        if_locked: What to do while another push of the organization is at work.
        lifetime: How long a killed push blocks the next one.

    Raises:
        InvalidRequest: A number that makes no sense.
    """

    session_id: str | None = None
    concurrency: int = 4
    rate: float | None = None
    limit: int | None = None
    deadline: timedelta | None = None
    if_locked: IfLocked = IfLocked.FAIL
    lifetime: timedelta = LIFETIME

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise InvalidRequest(f"--concurrency is 1 to {MAX_CONCURRENCY}, not {self.concurrency}")
        if self.rate is not None and not 0 < self.rate <= 1_000_000:
            raise InvalidRequest(f"--rate is above 0, not {self.rate:g}")
        if self.limit is not None and self.limit < 1:
            raise InvalidRequest(f"--limit is 1 or more, not {self.limit}")
        if self.deadline is not None and self.deadline <= timedelta(0):
            raise InvalidRequest("--deadline is a time to come")


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did. `waiting` commitments are left to be sent, `blocked` of them behind a conflict
    or a dead letter of their user's. `total` commitments were tried: `synced` PEMS has, `conflicts` wait for a
    person, `retrying` are due again later, `rejected` are dead letters. `recovered` were found cut
    off by an earlier run. `interrupted`: it was told to stop before all was sent. `problems` tell why
    commitments are not in PEMS, at most 1,000, where `masked` without the numbers in it. A push that was
    skipped has no run and status skipped.
    """

    run_id: str | None
    status: str
    total: int = 0
    synced: int = 0
    rejected: int = 0
    conflicts: int = 0
    retrying: int = 0
    recovered: int = 0
    waiting: int = 0
    blocked: int = 0
    interrupted: bool = False
    message: str = ""
    problems: tuple[Fault, ...] = ()
    masked: bool = False


@dataclass(frozen=True, slots=True)
class RetryResult:
    """Dead letters that are due again, by record, and what the push made of them (None: rehearsed)."""

    letters: list[DeadLetter]
    push: PushResult | None
