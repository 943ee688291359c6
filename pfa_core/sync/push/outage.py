"""The circuit breaker of a push: many failures in a row are an outage of PEMS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field, replace

from pfa_core.errors import FaultCode
from pfa_core.model.exchange import FORBIDDEN, Failure, RetryAdvice
from pfa_core.model.push import Result, StopReason, Verdict

MIN_FAILURES = 10  # in a row; more with more than five threads, see `outage_threshold`


def outage_threshold(concurrency: int) -> int:
    """Return the number of failures in a row that mean an outage."""
    return max(MIN_FAILURES, 2 * concurrency)


@dataclass
class OutageDetector:
    """A detector of failures that are about PEMS as a whole.

    Consecutive failures that may be about PEMS as a whole are held back until that is decided. `reason`
    is PEMS_REJECTED or PEMS_UNAVAILABLE once it is decided, `failure` the answer that decided.
    """

    threshold: int
    _: KW_ONLY
    reason: StopReason | None = None
    failure: Failure | None = None
    _succeeded: bool = False
    _streak: list[Result] = field(default_factory=list)
    _decided: list[Result] = field(default_factory=list)

    def observe(self, result: Result, *, any_synced: bool) -> StopReason | None:
        """Take a result; return the reason to stop, as soon as there is one.

        Args:
            any_synced: The run has settled a change that PEMS took. Until then FORBIDDEN may be about
                all records, later it is about one.
        """
        failure = result.failure
        if failure is not None and failure.advice is RetryAdvice.STOP:
            self._stop(StopReason.PEMS_REJECTED, failure)
            self._decided.append(replace(result, counted=False))
        elif failure is not None and _may_be_about_all(failure, any_synced=any_synced):
            self._extend_streak(result, failure)
        else:
            self._pass(result)
        return self.reason

    def take(self) -> list[Result]:
        """Return the results that are decided since the last call, to be settled."""
        decided, self._decided = self._decided, []
        return decided

    def end_streak(self) -> None:
        """Decide the failures held back: nothing else is under way."""
        self._decided += (self._decide(result) for result in self._streak)
        self._streak = []

    def _pass(self, result: Result) -> None:
        if result.verdict is not Verdict.RELEASED:
            self._succeeded = self._succeeded or result.failure is None
            self.end_streak()
        self._decided.append(result)

    def _extend_streak(self, result: Result, failure: Failure) -> None:
        self._streak.append(result)
        if len(self._streak) >= self.threshold:
            forbidden = failure.code == FORBIDDEN
            reason = StopReason.PEMS_REJECTED if forbidden else StopReason.PEMS_UNAVAILABLE
            self._stop(reason, failure)

    def _stop(self, reason: StopReason, failure: Failure) -> None:
        # Rejected credentials explain an outage, not the other way round.
        if self.reason is StopReason.PEMS_REJECTED and reason is not self.reason:
            return
        self.reason, self.failure = reason, failure

    def _decide(self, result: Result) -> Result:
        """Count a record's own failure as an attempt.

        A server error answers one request, so it may be the record's own and always counts. No answer and an
        unavailable service may be an outage: they count only once another change has succeeded, which shows
        that PEMS as a whole was up. In an outage nothing counts.
        """
        if self.reason is not None:
            return replace(result, counted=False, verdict=Verdict.RETRYING)
        own = result.code is FaultCode.SERVER_ERROR or self._succeeded
        return replace(result, counted=own)


def failure_of_all(results: Iterable[Result]) -> Failure | None:
    """Return the first failure where every result is one that may pass by itself."""
    found = list(results)
    failures = [item.failure for item in found if item.verdict is Verdict.RETRYING]
    return failures[0] if failures and len(failures) == len(found) else None


def _may_be_about_all(failure: Failure, *, any_synced: bool) -> bool:
    """Return whether many such failures in a row are about PEMS as a whole."""
    forbidden = failure.code == FORBIDDEN and not any_synced
    return failure.advice is RetryAdvice.RETRY or forbidden
