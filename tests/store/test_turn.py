"""Turns at one handle: of threads, of blocks within blocks, of streams that others close."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Iterator

import pytest

from pfa_core.store import turn
from pfa_core.store.turn import Turns
from tests.store.interrupting import interrupted_everywhere


def suspended(turns: Turns) -> Iterator[None]:
    with turns.taken():
        yield


def in_a_thread(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def is_free(turns: Turns) -> bool:
    """Whether another thread gets the turn at once."""
    entered = threading.Event()

    def enter() -> None:
        with turns.taken():
            entered.set()

    thread = in_a_thread(enter)
    free = entered.wait(0.2)
    thread.join(0.01)
    return free


@pytest.mark.parametrize("by", ["this thread", "another thread", "the collector"])
def test_a_block_within_a_stream_keeps_the_turn_when_the_stream_is_closed(by: str) -> None:
    turns = Turns()
    stream = suspended(turns)
    next(stream)
    with turns.taken():
        if by == "this thread":
            stream.close()
        elif by == "another thread":
            in_a_thread(stream.close).join()
        else:
            del stream
            in_a_thread(gc.collect).join()
        assert not is_free(turns)
    assert is_free(turns)


def test_threads_take_turns_whatever_they_nest_and_leave_open() -> None:
    turns = Turns()
    inside, most = [0], [0]

    def work() -> None:
        for number in range(300):
            stream = suspended(turns)
            next(stream)
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            with turns.taken():
                if number % 3 == 0:
                    stream.close()
                inside[0] -= 1
            stream.close()

    threads = [in_a_thread(work) for _ in range(8)]
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [1]
    assert is_free(turns)


def test_a_turn_is_had_in_the_order_of_asking_however_busy_the_others_are() -> None:
    turns, ended, had = Turns(), threading.Event(), [0, 0, 0]

    def work(number: int) -> None:
        while not ended.is_set():
            with turns.taken():
                had[number] += 1
                time.sleep(0.001)

    threads = [in_a_thread(lambda number=number: work(number)) for number in range(3)]
    deadline = time.monotonic() + 30
    while sum(had) < 150 and time.monotonic() < deadline:
        time.sleep(0.01)
    ended.set()
    for thread in threads:
        thread.join(30)
    assert min(had) > 0.8 * max(had), had


def test_an_error_and_an_interrupt_give_the_turn_back() -> None:
    turns = Turns()
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), turns.taken(), turns.taken():
            raise error
        assert is_free(turns)


@pytest.mark.parametrize("nested", [False, True])
def test_a_signal_at_any_place_leaves_the_turn_free(nested: bool) -> None:
    turns = Turns()

    def work() -> None:
        with turns.taken():
            if nested:
                with turns.taken():
                    pass

    places = interrupted_everywhere(work, turn.__file__, contextlib.__file__)
    found = {place: is_free(turns) for place in places}
    assert len(found) > 10
    assert [place for place, free in found.items() if not free] == []
