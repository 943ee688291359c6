"""What may be planned: kinds and how often, faults of PEMS, steps at which a run may sleep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.pusher import PULL_STEPS, PUSH_STEPS
from tests.trials.steps import Kind

PEMS_FAULTS = (
    "500:0.3", "503:0.5:times=3", "429:0.3:retry-after=0", "reset-before:0.3", "reset-after:0.4",
    "truncate:0.3", "alert:0.3:times=3", "latency:20ms", "423:0.3:times=3", "rounds:0.2",
)  # fmt: skip
# Not within a transaction that others wait for.
SLEEPS = tuple(step for step in (*PUSH_STEPS, *PULL_STEPS) if not step.endswith(":inside"))
USERS_WEIGHTS: Mapping[Kind, int] = {
    Kind.SAVE: 40, Kind.SHIFT: 10, Kind.UNSET: 6, Kind.DISCARD: 8, Kind.RESTORE: 4, Kind.COMMIT: 22,
    Kind.UNCOMMIT: 5, Kind.UNDO: 12, Kind.REDO: 5, Kind.RESOLVE: 4, Kind.LIST: 12, Kind.STATS: 2, Kind.EXPORT: 3,
}  # fmt: skip
OTHERS_WEIGHTS: Mapping[Kind, int] = {
    Kind.PUSH: 26, Kind.PULL: 12, Kind.RETRY: 2, Kind.ISSUE: 3, Kind.REVOKE: 3, Kind.TOKEN: 6, Kind.VERIFY: 2,
    Kind.EDIT: 14, Kind.PEMS_FAULTS: 6, Kind.PEMS_KILL: 2, Kind.DATABASE_QUIT: 2, Kind.DATABASE_KILL: 2,
    Kind.DISK_FULL: 1,
}  # fmt: skip
OWN_SERVER = frozenset({Kind.DATABASE_QUIT, Kind.DATABASE_KILL, Kind.DISK_FULL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What may be planned.

    Args:
        danger: The share of turns that are hit.
        own_server: Whether the database may be killed, `small_disk` filled.
        clocks: Whether clocks may jump.
        quick: Nothing that takes a second: no silence, no process begun anew, no sleep.
        together: Each user has a process at work at any time: no other may act for one.
        burst: The most acts of one process.
        weights: How often kinds are planned, where other than usual. `scenes`: the share of scenes.
    """

    danger: float = 0.3
    own_server: bool = True
    small_disk: bool = True
    clocks: bool = True
    quick: bool = False
    together: bool = False
    burst: int = 5
    weights: Mapping[Kind, int] = field(default_factory=dict)
    scenes: float = 0.05
