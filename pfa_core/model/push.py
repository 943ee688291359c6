"""What becomes of a commitment that is pushed, and when a failed one is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pfa_core.model.delta import FieldConflict
from pfa_core.model.exchange import UNREACHED, Failure, Reading, RetryAdvice


class Verdict(StrEnum):
    """How an attempt ended.

    SYNCED: PEMS has the values. CONFLICT: a person decides. RETRYING: due again later. REJECTED:
    final, a dead letter. RELEASED: claimed and given back unsent. RECOVERED: the claim of a run that
    is no more was given back.
    """

    SYNCED = "synced"
    CONFLICT = "conflict"
    RETRYING = "retrying"
    REJECTED = "rejected"
    RELEASED = "released"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed commitment on its way.

    `now` holds the mirror's values of its fields, `revision` the version of PEMS that they are
    (None: not known). `sent_version`: an earlier send on that version may have arrived.
    """

    modification_id: str
    pfa_id: str
    user_id: str
    session_id: str
    delta: Mapping[str, Any]
    base: Mapping[str, Any]
    now: Mapping[str, Any]
    version: int
    generation: int
    sent_version: str | None
    revision: str | None
    attempt: int
    failures: int
    first_attempt_at: datetime
    reason: str

    @property
    def key(self) -> str:
        """The name by which PEMS knows this very write again; a new generation is a new write."""
        return f"{self.modification_id}.{self.version}.{self.generation}"

    def afresh(self) -> Task:
        """The same commitment as a new write: its old key is used up."""
        return replace(self, generation=self.generation + 1, sent_version=None)


@dataclass(frozen=True, slots=True)
class Sending:
    """A task ready to be sent: what to change, on which version, what PEMS was read to hold, and what
    is to be said of it."""

    task: Task
    delta: Mapping[str, Any]
    changes: Mapping[str, Any]
    version: str
    reading: Reading | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended.

    `delta` is the modification's by now: fields that PEMS owns have dropped out; `rebased` are PEMS's
    values of those that their user owns, what these start from by now. PEMS now holds
    `reading` (None: what the mirror has) and over it `changes`, at `revision` with the last-modified
    `stamp`. `trouble` says what went wrong, `counted` whether it takes a rung of the ladder of
    retries; `in_doubt` is the version on which a send may have arrived.
    """

    task: Task
    verdict: Verdict
    delta: Mapping[str, Any]
    code: str = ""
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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The ladder of retries, the only one: bounded in count and in time.

    Waits double from `first_delay` to `longest`; what PEMS itself asks to wait is waited. Being
    asked to slow down and not reaching PEMS at all do not count, only the time bounds them.
    """

    retries: int = 3
    first_delay: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=5)
    give_up_after: timedelta = timedelta(hours=24)

    def delay(self, rung: int, retry_after: float | None, chance: float) -> timedelta:
        """How long to wait on a rung, from 0 on; `chance` in [0, 1) spreads the waits."""
        wait = min(self.first_delay * 2 ** min(rung, 30), self.longest) * (1 + chance / 4)
        return max(wait, timedelta(seconds=retry_after)) if retry_after is not None else wait

    def counts(self, result: Result) -> bool:
        """Whether the trouble takes a rung of the ladder."""
        failure = result.failure
        if failure is None or not result.counted:
            return False
        return failure.advice is RetryAdvice.RETRY and failure.code != UNREACHED

    def worth_it(self, failures: int, first_attempt_at: datetime, at: datetime) -> bool:
        """Whether after so many failures, the last one included, another try is allowed."""
        return failures <= self.retries and at - first_attempt_at < self.give_up_after
