"""The search for a deliberate bug: short histories, one after the other, until one shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.trials import history
from tests.trials.place import Place
from tests.trials.planning import plan
from tests.trials.setting import a_place
from tests.trials.steps import Kind, Turn
from tests.trials.terms import Terms

LIMIT = 120.0  # seconds: a quiet machine takes less than ten, one that twelve others share half a minute
LENGTH, EVERY = 120, 20
SEED = 2289  # its first twenty turns have a conflict, a push killed too late, a revocation, a broken commit
# Nothing that takes a second; much is sent, taken back and looked at.
TERMS = Terms(
    own_server=False, clocks=False, small_disk=False, quick=True, danger=0.5, scenes=0.16, burst=3,
    weights={
        Kind.SAVE: 30, Kind.SHIFT: 16, Kind.COMMIT: 30, Kind.UNDO: 20, Kind.LIST: 16, Kind.STATS: 0, Kind.EXPORT: 0,
        Kind.PUSH: 40, Kind.PULL: 6, Kind.EDIT: 24, Kind.ISSUE: 10, Kind.REVOKE: 10, Kind.TOKEN: 10,
        Kind.PEMS_KILL: 0,
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """How a bug was found: what was violated, empty for nothing; after how long; the turns up to there."""

    violation: str
    seconds: float
    operations: int
    turns: tuple[Turn, ...]


def find(
    bug: str,
    *,
    seed: int = SEED,
    limit: float = LIMIT,
    make_place: Callable[[str], AbstractContextManager[Place]] = lambda bug: a_place(bug=bug),
) -> Found:
    """Let histories happen with a bug switched on, for so many seconds or until one is violated."""
    began = time.monotonic()
    operations = 0
    with make_place(bug) as place:
        driver, failed = history.run(place, plan(seed, LENGTH, TERMS), every=EVERY, limit=limit)
        operations = sum(driver.processes.operations.values())
    seconds = time.monotonic() - began
    if failed is None:
        return Found("", seconds, operations, ())
    return Found(failed.violation, seconds, operations, failed.turns)
