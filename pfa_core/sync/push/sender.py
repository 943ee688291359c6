"""The part of a push that runs in threads: requests to PEMS, no database."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_core.errors import FaultCode
from pfa_core.model.exchange import RetryAdvice
from pfa_core.model.push import Result, Sending, Task, Verdict, released
from pfa_core.sync.push.delivery import Delivery, PrepareAgain
from pfa_core.sync.push.halt import Halt
from pfa_core.sync.rate_limiter import RateLimiter
from pfa_core.sync.run_log import RunLog

Item = Task | Sending
Answer = Sending | Result | PrepareAgain


@dataclass(frozen=True, slots=True)
class Sender:
    """One step of one change at a time: a task is prepared, a sending is sent."""

    delivery: Delivery
    limiter: RateLimiter
    halt: Halt
    log: RunLog

    def __call__(self, item: Item) -> Answer:
        """Return what follows for the item; it is released when the run has ended."""
        task = item if isinstance(item, Task) else item.task
        if not self.halt.is_set():
            self.limiter.acquire(self.halt.is_set, sends=isinstance(item, Sending))
        if self.halt.is_set():
            return released(task)
        try:
            answer = self._step(item)
        except Exception as error:  # one record must not block all others, run after run
            return self._internal_error(item, error)
        if isinstance(answer, Result):
            self._adjust_rate(answer)
        return answer

    def _step(self, item: Item) -> Answer:
        if isinstance(item, Task):
            return self.delivery.prepare(item)
        return self.delivery.send(item)

    def _internal_error(self, item: Item, error: Exception) -> Result:
        """Make a dead letter of a record at which pfa itself failed."""
        task = item if isinstance(item, Task) else item.task
        self.log.error("broken", record=task.pfa_id, error=error)
        return Result(
            task=task,
            verdict=Verdict.REJECTED,
            delta=task.delta,
            code=FaultCode.INTERNAL,
            message=f"unexpected internal error {type(error).__name__} at this record",
            in_doubt=item.version if isinstance(item, Sending) else task.sent_version,
        )

    def _adjust_rate(self, result: Result) -> None:
        if result.failure is not None and result.failure.advice is RetryAdvice.SLOW_DOWN:
            self.limiter.on_throttle()
        elif result.verdict is Verdict.SYNCED:
            self.limiter.on_success()
