"""The threads that talk to PEMS: what goes before what."""

from __future__ import annotations

import pytest

from pfa_core.sync.workers import Workers


def all_answers(senders: Workers, number: int) -> list:
    found: list = []
    while len(found) < number:
        found += senders.answers(1.0)
    return found


def test_what_is_given_first_goes_before_all_else_in_its_own_order():
    senders = Workers(lambda item: item, 1)
    for item, first in (("a", False), ("1", True), ("b", False), ("2", True), ("3", True)):
        senders.give(item, first=first)
    with senders.at_work():
        assert all_answers(senders, 5) == ["1", "2", "3", "a", "b"]
    assert senders.busy == 0


def test_many_threads_do_each_item_once():
    senders = Workers(lambda item: item, 8)
    with senders.at_work():
        for item in range(2000):
            senders.give(item, first=item % 3 == 0)
        assert sorted(all_answers(senders, 2000)) == list(range(2000))


def test_what_a_thread_fails_with_is_raised_where_the_answer_is_taken():
    def fail(item: str) -> str:
        raise ValueError(item)

    senders = Workers(fail, 1)
    senders.give("a")
    with senders.at_work(), pytest.raises(ValueError, match="a"):
        all_answers(senders, 1)
