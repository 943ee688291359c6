"""Waits, deadlines and buffers of a push, with a clock that is set."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from pfa_core.model.push import StopReason
from pfa_core.sync.push.buffers import Buffer
from pfa_core.sync.push.halt import Halt
from pfa_core.sync.push.retry_wait import MAX_RETRY_WAIT_SECONDS, RetryWait

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def due(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [
        (5, 5),
        (0, 0.01),
        (-0.5, 0.01),
        (-2, None),
        (MAX_RETRY_WAIT_SECONDS, MAX_RETRY_WAIT_SECONDS),
        (MAX_RETRY_WAIT_SECONDS + 1, None),
    ],
    ids=["soon", "now", "just due", "blocked by another change", "a minute", "later"],
)
def test_a_retry_is_waited_for_when_it_is_due_soon(seconds, wait):
    assert RetryWait(3).seconds(due(seconds), NOW) == wait


def test_without_a_retry_there_is_no_wait():
    assert RetryWait(3).seconds(None, NOW) is None


def test_the_waits_without_a_success_are_bounded_in_all():
    waits = RetryWait(9)
    waits.begin(40)
    assert waits.seconds(due(30), NOW) is None
    waits.reset()
    assert waits.seconds(due(30), NOW) == 30


def test_the_rounds_without_a_success_are_bounded_too():
    waits = RetryWait(2)
    for _ in range(3):
        assert waits.seconds(due(1), NOW) == 1
        waits.begin(1)
    assert waits.seconds(due(1), NOW) is None
    waits.reset()
    assert waits.seconds(due(1), NOW) == 1


def a_halt(deadline: float | None = None, *, lost: bool = False) -> tuple[Halt, Clock]:
    clock = Clock()
    limit = None if deadline is None else timedelta(seconds=deadline)
    return Halt(threading.Event(), lambda: lost, limit, clock), clock


def test_a_run_may_send_until_there_is_a_reason_to_stop():
    halt, _ = a_halt()
    assert (halt.reason, halt.is_set(), halt.seconds_left) == (None, False, float("inf"))


def test_a_deadline_passes():
    halt, clock = a_halt(5)
    clock.now += 5
    assert (halt.reason, halt.is_set(), halt.seconds_left) == (None, False, 0)
    clock.now += 0.5
    assert (halt.reason, halt.is_set()) == (StopReason.DEADLINE, True)


def test_the_caller_may_stop_it_and_the_lease_may_be_lost():
    halt, _ = a_halt()
    halt.requested.set()
    assert (halt.reason, halt.is_set()) == (StopReason.REQUESTED, True)
    lost, _ = a_halt(lost=True)
    assert (lost.reason, lost.is_set()) == (StopReason.LEASE_LOST, True)


def test_the_gravest_reason_is_the_one_that_is_reported():
    halt, _ = a_halt()
    reasons = []
    for reason in (
        StopReason.DEADLINE,
        StopReason.PEMS_UNAVAILABLE,
        StopReason.DEADLINE,
        StopReason.PEMS_REJECTED,
        StopReason.PEMS_UNAVAILABLE,
        StopReason.NOT_ALLOWED,
        None,
    ):
        halt.give(reason)
        reasons.append(halt.reason)
    assert reasons == [
        StopReason.DEADLINE,
        StopReason.PEMS_UNAVAILABLE,
        StopReason.PEMS_UNAVAILABLE,
        StopReason.PEMS_REJECTED,
        StopReason.PEMS_REJECTED,
        StopReason.NOT_ALLOWED,
        StopReason.NOT_ALLOWED,
    ]
    halt.requested.set()
    assert halt.reason is StopReason.NOT_ALLOWED


def test_a_buffer_is_due_when_it_is_full_or_old_or_at_once_and_never_empty():
    clock = Clock()
    buffer: Buffer[int] = Buffer(3, 1.0, clock)
    assert not buffer.is_due(now=True)
    buffer.add([1, 2])
    assert (buffer.is_due(now=False), buffer.is_due(now=True)) == (False, True)
    buffer.add([3])
    assert (buffer.is_due(now=False), len(buffer)) == (True, 3)
    assert (buffer.take(), len(buffer)) == ([1, 2, 3], 0)
    buffer.add([4])
    assert not buffer.is_due(now=False)
    clock.now += 1.5
    assert buffer.is_due(now=False)
