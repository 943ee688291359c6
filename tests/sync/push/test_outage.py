"""The circuit breaker: failures of single records, or an outage of PEMS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pfa_core.errors import FaultCode
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.push import Result, StopReason, Task, Verdict, released
from pfa_core.sync.push.outage import OutageDetector, failure_of_all, outage_threshold

RETRY = Failure(FaultCode.SERVICE_UNAVAILABLE, "away", RetryAdvice.RETRY)
SERVER_ERROR = Failure(FaultCode.SERVER_ERROR, "500", RetryAdvice.RETRY)
LOCKED = Failure(FaultCode.LOCKED, "another user edits it", RetryAdvice.RETRY)
THROTTLED = Failure(FaultCode.RATE_LIMIT, "slower", RetryAdvice.SLOW_DOWN)
FORBIDDEN = Failure(FaultCode.FORBIDDEN, "403", RetryAdvice.NONE)
LOGIN = Failure(FaultCode.UNAUTHORIZED, "401", RetryAdvice.STOP)
TASK = Task(
    modification_id="m",
    pfa_id="P-1",
    user_id="ann",
    session_id="s",
    delta={},
    base={},
    now={},
    version=1,
    generation=0,
    sent_version=None,
    sent_fields=None,
    revision=None,
    attempt=1,
    failures=0,
    first_attempt_at=datetime(2026, 1, 1, tzinfo=UTC),
    reason="",
)
SYNCED = Result(task=TASK, verdict=Verdict.SYNCED, delta={})


def failed(failure: Failure) -> Result:
    final = failure.advice is RetryAdvice.NONE
    verdict = Verdict.REJECTED if final else Verdict.RETRYING
    return Result(task=TASK, verdict=verdict, delta={}, code=failure.code, failure=failure)


def observed(*results: Result, any_synced: bool = False) -> tuple[OutageDetector, list[Result]]:
    """A detector of three failures in a row after the results, and what it decided at the end."""
    detector = OutageDetector(3)
    for result in results:
        detector.observe(result, any_synced=any_synced)
    detector.end_streak()
    return detector, detector.take()


def test_the_threshold_is_ten_or_twice_the_threads():
    assert [outage_threshold(threads) for threads in (1, 5, 8)] == [10, 10, 16]


def test_failures_in_a_row_are_an_outage_and_count_for_no_record():
    detector, decided = observed(*[failed(RETRY)] * 3)
    assert (detector.reason, detector.failure) == (StopReason.PEMS_UNAVAILABLE, RETRY)
    assert decided == [replace(failed(RETRY), counted=False)] * 3


def test_the_reason_is_returned_as_soon_as_the_threshold_is_reached():
    detector = OutageDetector(3)
    reasons = [detector.observe(failed(RETRY), any_synced=False) for _ in range(3)]
    assert reasons == [None, None, StopReason.PEMS_UNAVAILABLE]


def test_failures_are_held_back_until_they_are_decided():
    detector = OutageDetector(3)
    detector.observe(failed(SERVER_ERROR), any_synced=False)
    assert detector.take() == []
    detector.observe(SYNCED, any_synced=False)
    assert detector.take() == [failed(SERVER_ERROR), SYNCED]
    assert detector.take() == []


def test_a_success_between_them_ends_the_row():
    detector, _ = observed(failed(RETRY), failed(RETRY), SYNCED, failed(RETRY), failed(RETRY))
    assert detector.reason is None


def test_a_released_change_does_not_end_the_row():
    detector, decided = observed(failed(RETRY), failed(RETRY), released(TASK), failed(RETRY))
    assert detector.reason is StopReason.PEMS_UNAVAILABLE
    assert decided[0] == released(TASK)


@pytest.mark.parametrize(
    ("failure", "counted"),
    [(RETRY, False), (SERVER_ERROR, True), (LOCKED, True)],
    ids=["away", "server error", "locked"],
)
def test_without_a_success_only_an_error_of_the_service_counts_for_the_record(failure, counted):
    assert observed(failed(failure))[1] == [replace(failed(failure), counted=counted)]


def test_after_a_success_every_failure_counts_for_the_record():
    assert observed(SYNCED, failed(RETRY))[1] == [SYNCED, failed(RETRY)]


def test_being_throttled_is_about_no_outage():
    detector, decided = observed(*[failed(THROTTLED)] * 5)
    assert (detector.reason, len(decided)) == (None, 5)


def test_rejected_credentials_stop_at_once():
    detector, decided = observed(failed(LOGIN))
    assert (detector.reason, detector.failure) == (StopReason.PEMS_REJECTED, LOGIN)
    assert decided == [replace(failed(LOGIN), counted=False)]


def test_forbidden_for_every_record_is_a_rejection_of_the_credentials():
    detector, decided = observed(*[failed(FORBIDDEN)] * 3)
    assert detector.reason is StopReason.PEMS_REJECTED
    assert {item.verdict for item in decided} == {Verdict.RETRYING}


def test_forbidden_after_something_was_synced_is_about_the_record():
    detector, decided = observed(*[failed(FORBIDDEN)] * 3, any_synced=True)
    assert (detector.reason, decided) == (None, [failed(FORBIDDEN)] * 3)


def test_rejected_credentials_explain_an_outage_and_not_the_other_way_round():
    row = [failed(RETRY)] * 3
    for results in ([failed(LOGIN), *row], [*row, failed(LOGIN)]):
        detector, _ = observed(*results)
        assert (detector.reason, detector.failure) == (StopReason.PEMS_REJECTED, LOGIN)


def test_a_run_in_which_all_failed_for_now_has_the_first_failure():
    assert failure_of_all([failed(RETRY), failed(THROTTLED)]) == RETRY
    assert failure_of_all([failed(RETRY), failed(FORBIDDEN)]) is None
    assert failure_of_all([]) is None
