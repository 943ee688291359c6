"""Conflicts resolved under row-level security: one's own, and another member's."""

# ruff: noqa: F401 - the imports are the tests and their fixture

from __future__ import annotations

import pytest

from tests.conflicts.test_conflicts import TestForAnother, TestStacks, TestTakingOneSide, world


@pytest.fixture(autouse=True)
def under_rls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PFA_TEST_BOUND", "1")
