"""The waits of a push for retries that are due soon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_RETRY_WAIT_SECONDS = 60.0  # for one retry, and in all for retries without a success
BLOCKED_SECONDS = 1.0  # due for longer and yet not claimed: a change out of scope precedes it
SHORTEST_SECONDS = 0.01


@dataclass
class RetryWait:
    """The waits of a run for retries since its last success.

    `waited` is how long they took in seconds, `rounds` how many there were.
    """

    retries: int
    waited: float = 0.0
    rounds: int = 0

    def seconds(self, due: datetime | None, now: datetime) -> float | None:
        """Return how long to wait for the next retry; None when the run ends instead."""
        if due is None:
            return None
        seconds = (due - now).total_seconds()
        blocked = seconds < -BLOCKED_SECONDS
        exhausted = self.rounds > self.retries or self.waited + seconds > MAX_RETRY_WAIT_SECONDS
        return None if blocked or exhausted else max(seconds, SHORTEST_SECONDS)

    def begin(self, seconds: float) -> None:
        """Count a wait."""
        self.rounds += 1
        self.waited += seconds

    def reset(self) -> None:
        """Forget the waits so far: a change was synced."""
        self.waited, self.rounds = 0.0, 0
