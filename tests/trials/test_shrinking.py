"""The shortest part that fails."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.trials.shrinking import shortest

SOME = st.sets(st.integers(0, 30), min_size=1, max_size=4)


@given(SOME, st.integers(31, 60))
def test_what_is_needed_is_what_is_left(needed: set[int], length: int) -> None:
    found = shortest(range(length), lambda part: needed <= set(part))
    assert found == sorted(needed)


def test_of_two_reasons_one_is_left() -> None:
    found = shortest(range(20), lambda part: 3 in part or 11 in part)
    assert found in ([3], [11])


def test_a_search_that_is_tired_keeps_what_fails() -> None:
    asked = 0

    def fails(part: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return asked < 4 and 7 in part

    assert 7 in shortest(range(40), fails)
