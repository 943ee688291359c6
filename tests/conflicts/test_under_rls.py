"""Conflicts settled behind the wall: one's own, and as who manages users, another's."""

# ruff: noqa: F401 - the imports are the tests and their fixture

from __future__ import annotations

import pytest

from tests.conflicts.test_conflicts import TestForAnother, TestStacks, TestTakingOneSide, world


@pytest.fixture(autouse=True)
def behind_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
