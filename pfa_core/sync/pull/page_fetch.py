"""Requests for pages of the grid, each repeated while its failure may pass."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.push import RetryPolicy
from pfa_core.pems.services.grid import GridPage
from pfa_core.pems.services.grid_reader import GridReader
from pfa_core.sync.pull.grid_pull import GridPull
from pfa_core.sync.pull.paging import PageCursor

MAX_RETRY_WAIT_SECONDS = 60.0  # whatever PEMS asks
# By how much two clocks that were set alike may run apart; errs towards the mirror being newer.
CLOCK_DRIFT = 0.001


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page for a cursor; `asked_at` is the database's time before the request."""

    cursor: PageCursor
    page: GridPage
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class PageFetcher:
    """A reader with retries; `clock`: the monotonic time of the run's `started_at`."""

    pull: GridPull
    reader: GridReader
    clock: float = field(default_factory=time.monotonic)

    def fetch(self, cursor: PageCursor) -> Fetched | Failure:
        """Return the page at the cursor, or the last failure when attempts are used up."""
        attempt = 0
        while True:
            asked_at = self._database_time()
            answer = self.reader.page(cursor.first_row, cursor.row_count, since=self.pull.since)
            if isinstance(answer, GridPage):
                return Fetched(cursor, answer, asked_at)
            if not self._may_pass(answer, attempt) or self._stopped_waiting(answer, attempt):
                return answer
            attempt += 1

    def _may_pass(self, failure: Failure, attempt: int) -> bool:
        final = failure.advice in (RetryAdvice.NONE, RetryAdvice.STOP)
        return not final and attempt < self.pull.profile.retries

    def _stopped_waiting(self, failure: Failure, attempt: int) -> bool:
        """Wait for the next attempt; return whether the pull is stopped meanwhile."""
        pull = self.pull
        policy = RetryPolicy(pull.profile.retries, timedelta(seconds=pull.profile.retry_delay))
        wait = policy.delay(attempt, failure.retry_after, random.random())  # noqa: S311
        seconds = min(wait.total_seconds(), MAX_RETRY_WAIT_SECONDS)
        reason = pull.run.mask.text(failure.message)
        pull.log.warning("waiting", code=failure.code, reason=reason, seconds=seconds)
        return pull.stop.wait(seconds)

    def _database_time(self) -> datetime:
        """Return the database's time or a moment before: never one after it."""
        elapsed = time.monotonic() - self.clock
        return self.pull.run.started_at + timedelta(seconds=elapsed * (1 - CLOCK_DRIFT))
