"""Each long item runs on one day in so many, and on some day every one does."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests import conftest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(eq=False)
class Item:
    nodeid: str
    marks: tuple[pytest.Mark, ...]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark for mark in self.marks if mark.name == name), None)

    def add_marker(self, marker: str | pytest.MarkDecorator, *, append: bool = True) -> None:
        new = (getattr(pytest.mark, marker) if isinstance(marker, str) else marker).mark
        self.marks = (*self.marks, new) if append else (new, *self.marks)


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
def test_one_in_six_runs_a_day_and_each_on_one_in_six(count: int) -> None:
    assert days_of(items(count, pytest.mark.long), 12) == [2] * count


def test_a_test_says_how_many_take_turns() -> None:
    assert days_of(items(5, pytest.mark.long, pytest.mark.turns(4)), 12) == [3] * 5


def test_what_is_not_long_runs_every_day() -> None:
    assert days_of(items(4), 6) == [6] * 4


def test_slow_ones_are_long_and_run_every_day() -> None:
    slow = items(5, pytest.mark.slow, pytest.mark.turns(4))
    conftest._leave_slow_ones_to_the_long_form(slow)
    assert all(one.get_closest_marker("long") for one in slow)
    assert days_of(slow, 6) == [6] * 5


def test_slow_ones_that_are_long_take_their_turns() -> None:
    slow = items(5, pytest.mark.slow, pytest.mark.long)
    conftest._leave_slow_ones_to_the_long_form(slow)
    assert days_of(slow, 6) == [1] * 5


@pytest.mark.slow
@pytest.mark.parametrize(("words", "runs"), [(("tests",), 1), ((), 0)])
def test_slow_ones_run_where_files_are_named(
    tmp_path: Path, words: tuple[str, ...], runs: int
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").write_text(
        "import pytest\n@pytest.mark.slow\ndef test_slow(): pass\ndef test_fast(): pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    argv = [sys.executable, "-m", "pytest", "-n2", "-q", "-p", "tests.conftest", *words]
    done = subprocess.run(
        argv,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert f"{1 + runs} passed" in done.stdout, done.stdout + done.stderr
