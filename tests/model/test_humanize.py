"""Sizes for people."""

from __future__ import annotations

import pytest

from pfa_core.model.humanize import size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (812_000_000, "812 MB"),
        (4_900_000_000, "4.9 GB"),
        (1_234_500_000_000, "1,234 GB"),
    ],
)
def test_a_size_is_in_the_largest_unit_of_which_there_is_one(number: int, text: str) -> None:
    assert size(number) == text
