"""Each long item runs on one day in so many, and on some day every one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests import conftest


@dataclass(frozen=True, eq=False)
class Item:
    nodeid: str
    marks: tuple[pytest.Mark, ...]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark for mark in self.marks if mark.name == name), None)


def items(count: int, *marks: pytest.MarkDecorator) -> list[pytest.Item]:
    found = [
        Item(f"tests/test_x.py::test_x[{number}]", tuple(one.mark for one in marks))
        for number in range(count)
    ]
    return cast("list[Any]", found)


def days_of(given: list[pytest.Item], days: int) -> list[int]:
    """On how many of the days each item runs."""
    left_out = [conftest._not_today(given, day) for day in range(738_000, 738_000 + days)]
    return [sum(item not in others for others in left_out) for item in given]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_one_in_three_runs_a_day_and_each_on_one_in_three(count: int) -> None:
    assert days_of(items(count, pytest.mark.long), 6) == [2] * count


def test_a_test_says_how_many_take_turns() -> None:
    assert days_of(items(5, pytest.mark.long, pytest.mark.turns(6)), 12) == [2] * 5


def test_what_is_not_long_runs_every_day() -> None:
    assert days_of(items(4), 6) == [6] * 4
