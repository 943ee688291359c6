"""The end of a push's sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta

from pfa_core.model.push import StopReason

# Where several apply, the first says what happened.
_GRAVEST_FIRST = (
    StopReason.LEASE_LOST,
    StopReason.NOT_ALLOWED,
    StopReason.GUARD_EXCEEDED,
    StopReason.PEMS_REJECTED,
    StopReason.PEMS_UNAVAILABLE,
    StopReason.REQUESTED,
    StopReason.DEADLINE,
)


@dataclass
class Halt:
    """Why a run sends nothing more, for its own thread and for those that send.

    Args:
        requested: The caller's stop event.
        lease_lost: Returns whether another run may have taken over.
        deadline: The time that the run has, None: no limit.
    """

    requested: threading.Event
    lease_lost: Callable[[], bool]
    deadline: timedelta | None = None
    clock: Callable[[], float] = time.monotonic
    _: KW_ONLY
    _decided: StopReason | None = None
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def reason(self) -> StopReason | None:
        """Return the gravest reason that applies now, None while the run may send."""
        if self.lease_lost():
            return StopReason.LEASE_LOST
        if self.requested.is_set():
            return _graver(self._decided, StopReason.REQUESTED)
        if self.seconds_left < 0:
            return _graver(self._decided, StopReason.DEADLINE)
        return self._decided

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        if self.deadline is None:
            return float("inf")
        return self.deadline.total_seconds() - (self.clock() - self._began)

    def give(self, reason: StopReason | None) -> None:
        """Decide a reason for good, unless a graver one is."""
        if reason is not None:
            self._decided = _graver(self._decided, reason)

    def is_set(self) -> bool:
        """Return whether nothing more may be sent."""
        return (
            self._decided is not None
            or self.requested.is_set()
            or self.seconds_left < 0
            or self.lease_lost()
        )


def _graver(one: StopReason | None, other: StopReason) -> StopReason:
    return other if one is None else min(one, other, key=_GRAVEST_FIRST.index)
