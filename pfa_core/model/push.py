"""A committed modification on its way to PEMS.

It has a task, a sending, a result and a retry schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pfa_core.errors import FaultCode
from pfa_core.model.delta import FieldChange, FieldConflict
from pfa_core.model.exchange import UNREACHED, Failure, Reading, RetryAdvice
from pfa_core.model.ids import ModificationId, PfaId, SessionId, UserId


class Verdict(StrEnum):
    """How an attempt ended.

    SYNCED: PEMS has the values. CONFLICT: a user decides. RETRYING: due again later. REJECTED:
    final, a dead letter. RELEASED: claimed and given back unsent. RECOVERED: the claim of an
    abandoned run was given back.
    """

    SYNCED = "synced"
    CONFLICT = "conflict"
    RETRYING = "retrying"
    REJECTED = "rejected"
    RELEASED = "released"
    RECOVERED = "recovered"


class StopReason(StrEnum):
    """Why a push sends nothing more although changes may be left.

    REQUESTED: the caller set its stop event. DEADLINE: the deadline passed, or the next retry is due
    after it. LEASE_LOST: no heartbeat for a lifetime, another run may have taken over. NOT_ALLOWED:
    the pusher's membership or right was revoked meanwhile. GUARD_EXCEEDED: with what was committed meanwhile
    the run would be over a limit. PEMS_REJECTED: PEMS rejects the
    credentials. PEMS_UNAVAILABLE: PEMS fails at every record.
    """

    REQUESTED = "requested"
    DEADLINE = "deadline"
    LEASE_LOST = "lease_lost"
    NOT_ALLOWED = "not_allowed"
    GUARD_EXCEEDED = "guard_exceeded"
    PEMS_REJECTED = "pems_rejected"
    PEMS_UNAVAILABLE = "pems_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A claimed change to send.

    `now` holds the mirror's values of its fields, `revision` the PEMS version that they are
    (None: unknown). `sent_version`: an earlier send on that version may have arrived, of `sent_fields`
    (None: all of the delta).
    """

    modification_id: ModificationId
    pfa_id: PfaId
    user_id: UserId
    session_id: SessionId
    delta: Mapping[str, Any]
    base: Mapping[str, Any]
    now: Mapping[str, Any]
    version: int
    generation: int
    sent_version: str | None
    sent_fields: tuple[str, ...] | None
    revision: str | None
    attempt: int
    failures: int
    first_attempt_at: datetime
    reason: str

    @property
    def key(self) -> str:
        """Return the idempotency key of this write; a new generation is a new write."""
        return f"{self.modification_id}.{self.version}.{self.generation}"

    @property
    def sent(self) -> Mapping[str, Any]:
        """Return the values that an earlier send had, in its order."""
        if self.sent_fields is None:
            return self.delta
        return {name: self.delta[name] for name in self.sent_fields}

    def next_generation(self) -> Task:
        """Return the same change as a new write: its old key is used up."""
        return replace(self, generation=self.generation + 1, sent_version=None, sent_fields=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A task ready to be sent.

    `changes` are the values that differ from PEMS, based on `version`; `reading` is the record as it
    was read before (None: not read), `note` the message of the result.
    """

    task: Task
    delta: Mapping[str, Any]
    changes: Mapping[str, Any]
    version: str
    reading: Reading | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an attempt ended.

    `delta` is the modification's from now on: fields that PEMS owns have dropped out; `rebased` are
    the PEMS values of those that their user owns, their new base. PEMS now holds
    `reading` (None: what the mirror has) and over it `changes`, at `revision` with the last-modified
    `stamp`. `failure` says what went wrong, `counted` whether it counts as an attempt of the retry
    schedule; `in_doubt` is the version on which a send may have arrived. `altered` are the fields of which
    PEMS stored another value (after) than was sent (before).
    """

    task: Task
    verdict: Verdict
    delta: Mapping[str, Any]
    code: FaultCode | None = None
    message: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    revision: str | None = None
    stamp: str = ""
    reading: Reading | None = None
    conflicts: tuple[FieldConflict, ...] = ()
    rebased: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    counted: bool = True
    in_doubt: str | None = None
    altered: tuple[FieldChange, ...] = ()

    @property
    def accepted(self) -> Mapping[str, Any]:
        """Return the delta with the values that PEMS stored."""
        return {**self.delta, **{item.field: item.after for item in self.altered}}


def released(task: Task) -> Result:
    """Return the result of a task that was claimed and is given back unsent."""
    return Result(task=task, verdict=Verdict.RELEASED, delta=task.delta, in_doubt=task.sent_version)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The retry schedule of a change, bounded in count and in time.

    Waits double from `first_delay` to `longest`; what PEMS itself asks to wait is waited. Being
    throttled and not reaching PEMS do not count as attempts, only the time bounds them.
    """

    retries: int = 3
    first_delay: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=5)
    give_up_after: timedelta = timedelta(hours=24)

    def delay(self, failures: int, retry_after: float | None, chance: float) -> timedelta:
        """Return the wait after so many failures, from 0 on.

        `chance` in [0, 1) spreads the waits.
        """
        wait = min(self.first_delay * 2 ** min(failures, 30), self.longest) * (1 + chance / 4)
        return max(wait, timedelta(seconds=retry_after)) if retry_after is not None else wait

    def counts(self, result: Result) -> bool:
        """Return whether the failure counts as an attempt of the schedule."""
        failure = result.failure
        if failure is None or not result.counted:
            return False
        return failure.advice is RetryAdvice.RETRY and failure.code != UNREACHED

    def allows(self, failures: int, first_attempt_at: datetime, at: datetime) -> bool:
        """Return whether another attempt follows so many failures, the last one included."""
        return failures <= self.retries and at - first_attempt_at < self.give_up_after
