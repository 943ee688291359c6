"""The set of ids of a pull is a set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.id_set import IdSet


@given(st.lists(st.text(max_size=3)))
def test_it_has_what_was_added(texts):
    own, expected = IdSet(), set[str]()
    for text in texts:
        assert (text in own) == (text in expected)
        own.add(text)
        expected.add(text)
        assert text in own
    assert len(own) == len(expected)
    assert not [text for text in ("a", "ab", "\ud800", "") if (text in own) != (text in expected)]


class Alike(str):
    """A text with the hash of many others."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


def test_texts_of_one_hash_are_told_apart():
    own = IdSet()
    for number in range(100):
        own.add(Alike(f"P-{number}"))
    assert len(own) == 100
    assert Alike("P-99") in own
    assert Alike("P-100") not in own


@pytest.mark.slow
def test_a_hundred_thousand_ids_take_less_than_half_of_a_set():
    own = IdSet()
    for number in range(100_000):
        own.add(f"ORG-{number:07}")
    parts = (own._texts, own._ends, own._hashes, own._slots)
    assert sum(part.__sizeof__() for part in parts) < 100_000 * 45
    assert all(f"ORG-{number:07}" in own for number in range(0, 100_000, 999))
    assert "ORG-0100000" not in own
