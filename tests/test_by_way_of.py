"""What is left out where all tests run by way of a pooler, or with reads of a standby."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.by_way_of import POOL_HIDES, STANDBY_HIDES

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(("place", "hidden"), [*POOL_HIDES.items(), *STANDBY_HIDES.items()])
def test_what_is_left_out_is_a_test(place: str, hidden: str | dict[str, str]) -> None:
    if isinstance(hidden, str):
        assert list((REPOSITORY / place).glob("test_*.py"))
        return
    text = (REPOSITORY / place).read_text("utf-8")
    assert [name for name in hidden if f"def {name}(" not in text] == []
