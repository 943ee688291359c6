"""Runs of pull and push.

A run has a history row, outcomes and a status; there is a choice while another run is active.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pfa_core.model.audit import Direction
from pfa_core.model.ids import ModificationId, PfaId, RunId, UserId


class IfLocked(StrEnum):
    """What to do while another run holds the lease."""

    FAIL = "fail"
    WAIT = "wait"
    SKIP = "skip"


class RunStatus(StrEnum):
    """How far a run got."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Behind:
    """The records that a pull from PEMS refused: the mirror is older, or lacks them.

    The next incremental pull asks for what changed from `since` on, the earliest of their last changes in
    PEMS (None where there are none, or where one is unknown).
    """

    number: int = 0
    since: datetime | None = None
    run_id: str | None = None

    def and_one(self, changed_at: datetime | None) -> Behind:
        """Return the same with one record more; None: unknown when it was changed."""
        if changed_at is None or (self.number and self.since is None):
            since = None
        else:
            since = min(changed_at, self.since or changed_at)
        return Behind(self.number + 1, since, self.run_id)


class RunKind(StrEnum):
    """What a run asks for: everything, or what changed after a time."""

    FULL = "full"
    INCREMENTAL = "incremental"
    SINCE = "since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of pull or push.

    `counts` are by outcome. `kind`: full, incremental or since; the latter two look for changes after
    `since`.
    """

    run_id: RunId
    direction: Direction
    source: str
    status: RunStatus
    user_id: UserId
    started_at: datetime
    finished_at: datetime | None
    counts: Mapping[str, int]
    message: str | None
    kind: RunKind = RunKind.FULL
    since: datetime | None = None

    @property
    def is_of_files(self) -> bool:
        """Return whether it is a pull from files.

        Their names have no folders, and thus no `//`; the address of PEMS has one.
        """
        return self.direction is Direction.PULL and "//" not in self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one record in a run.

    `attempt` counts the sends of its modification.
    """

    pfa_id: PfaId | None
    position: str
    outcome: str
    code: str
    message: str
    at: datetime
    modification_id: ModificationId | None = None
    attempt: int | None = None
