"""Rows in portions that one statement takes: by number and by size, none lost and none twice."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest

from pfa_core import exact_json
from pfa_core.store import portions
from pfa_core.store.portions import json_portions


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    text: str = ""
    rate: Decimal = Decimal("1.50")


def read(rows):
    return [
        (exact_json.loads(one.json.dumps(one.json.obj)), one.start, one.stop)
        for one in json_portions(rows)
    ]


@pytest.mark.parametrize("number", [0, 1, 49, 50, 51, 99, 100, 101, 250])
def test_every_row_is_in_one_portion(monkeypatch, number):
    monkeypatch.setattr(portions, "PORTION", 100)
    rows = [Row(place) for place in range(number)]
    found = read(rows)
    assert [row["number"] for rows, _, _ in found for row in rows] == list(range(number))
    assert [(start, stop) for _, start, stop in found] == [
        (start, min(start + 100, number)) for start in range(0, number, 100)
    ]
    assert all(row["rate"] == Decimal("1.50") for rows, _, _ in found for row in rows)


def test_long_texts_end_a_portion_early(monkeypatch):
    monkeypatch.setattr(portions, "_CHARACTERS", 10_000)
    found = read([Row(place, "x" * 100) for place in range(1000)])
    assert len(found) > 5
    assert max(stop - start for _, start, stop in found) < 150
    assert found[-1][2] == 1000


def test_items_are_split_in_their_order():
    assert list(portions.portions(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(portions.portions([], 2)) == []
