"""Options and results of a push."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfa_core.errors import Fault, GuardExceeded, GuardExcess, InvalidRequest
from pfa_core.guarding import checked_reason
from pfa_core.model.guards import Guards
from pfa_core.model.ids import RunId
from pfa_core.model.push import StopReason
from pfa_core.model.run import IfLocked, RunStatus
from pfa_core.store.queue import DeadLetter
from pfa_core.store.waiting import Waiting
from pfa_core.sync.lease import LIFETIME

MAX_CONCURRENCY = 64
MAX_RATE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """How to push.

    Args:
        session_id: Only changes of sessions of this name.
        concurrency: Requests under way at once.
        rate: Maximum requests per second that change something; None: no limit.
        limit: How many changes at most.
        deadline: No new send after this time, and no waiting for a retry that is due later.
        if_locked: What to do while another push of the organization runs.
        lifetime: How long a killed push blocks the next one.
        guards: The caller's own limits, beside those of the organization; the stricter of both holds.
        override: Why to send although it is over a limit; the audit trail keeps it, and where no limit is
            exceeded nothing of it.

    Raises:
        InvalidRequest: A number out of range, an empty `override`.
    """

    session_id: str | None = None
    concurrency: int = 4
    rate: float | None = None
    limit: int | None = None
    deadline: timedelta | None = None
    if_locked: IfLocked = IfLocked.FAIL
    lifetime: timedelta = LIFETIME
    guards: Guards | None = None
    override: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise _invalid("concurrency", f"1 to {MAX_CONCURRENCY}", f"{self.concurrency}")
        if self.rate is not None and not 0 < self.rate <= MAX_RATE:
            raise _invalid("rate", f"above 0 and at most {MAX_RATE:,}", f"{self.rate:g}")
        if self.limit is not None and self.limit < 1:
            raise _invalid("limit", "1 or more", f"{self.limit}")
        if self.deadline is not None and self.deadline <= timedelta(0):
            raise _invalid("deadline", "in the future", f"{self.deadline}")
        object.__setattr__(self, "override", checked_reason(self.override))


def _invalid(parameter: str, allowed: str, value: str) -> InvalidRequest:
    return InvalidRequest(f"`{parameter}` must be {allowed}: {value}", parameter=parameter)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What a push did.

    Args:
        run_id: None where the push was skipped.
        status: COMPLETED, PARTIAL or SKIPPED.
        total: The changes tried: `synced` PEMS has (`altered` of them with another value than was sent,
            which the mirror has too), `conflicts` wait for a user's decision,
            `retrying` are due again later, `rejected` are dead letters.
        recovered: The claims of interrupted runs, given back at the start.
        waiting: The changes left to be sent, `blocked` of them behind a conflict or a dead letter
            of the same user and record.
        next_attempt_at: When what failed before is due again, where nothing was to be tried yet.
        interrupted: The caller asked to stop.
        stop_reason: Why changes are left that could have been sent; `message` for a reader.
        problems: Why changes are not in PEMS as they were sent, at most 1,000; where `masked`, without numbers.
        overridden: The limits that the push was over.
    """

    run_id: RunId | None
    status: RunStatus
    total: int = 0
    synced: int = 0
    altered: int = 0
    rejected: int = 0
    conflicts: int = 0
    retrying: int = 0
    recovered: int = 0
    waiting: int = 0
    blocked: int = 0
    next_attempt_at: datetime | None = None
    interrupted: bool = False
    stop_reason: StopReason | None = None
    message: str = ""
    problems: tuple[Fault, ...] = ()
    masked: bool = False
    overridden: tuple[GuardExcess, ...] = ()


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push would send: the number, and the changes in order, to be read once.

    `refused`: a push would send nothing, since that is over limits. `overridden`: the limits that it would be over.
    """

    total: int
    changes: Iterator[Waiting]
    refused: GuardExceeded | None = None
    overridden: tuple[GuardExcess, ...] = ()


@dataclass(frozen=True, slots=True)
class RetryResult:
    """Dead letters that are due again, by record.

    `push` is their push, None for a dry run.
    """

    letters: list[DeadLetter]
    push: PushResult | None
