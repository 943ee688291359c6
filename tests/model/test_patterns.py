"""Records read by their pattern: as field by field, or left to that."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfa_core import exact_json
from pfa_core.errors import Fault
from pfa_core.model import baseline, casts, keys, patterns
from pfa_core.model.record import FIELDS, MAX_FREE_TEXT, MAX_ID
from pfa_core.model.text_rows import TextRows
from pfa_core.model.values import Wrong
from pfa_core.sync.pull import intake
from tests.factories import record
from tests.forms import EFFORT
from tests.model.strategies import json_values, value_of

TEXTS = ("", " ", "Rental", "purchase ", "2026-02-15", "2026-02-15T00:00", "2026-02-30", "Crane\u200b", "12.50",
         " Crane", "É", "E\u0301", "x" * (MAX_ID + 1), "x" * (MAX_FREE_TEXT + 1), "a\tb", "null", "y")  # fmt: skip
NUMBERS = (0, -1, 1, 10**15 - 1, 10**15, Decimal("0.5"), Decimal(-1), Decimal("1E-12"), Decimal("1E-13"),
           Decimal("1E+15"), Decimal("999999999999999.999999999999"), 1.5)  # fmt: skip
NORMAL = ("P-1", "P 4")
wild = json_values | st.sampled_from(TEXTS) | st.sampled_from(NUMBERS)
rows = st.fixed_dictionaries(
    {"pfaId": st.sampled_from((*NORMAL, " P-2", "P-3 ", "P\u0308"))},
    optional={
        **{name: wild | value_of(name) for name in FIELDS if name != "pfaId"},
        "vendorName": json_values,
    },
)


def both(raw: dict[str, Any]) -> tuple[Any, Any]:
    """Return what is found by the pattern, and field by field."""
    return patterns.patterned_changes(raw), baseline._changes(raw, "line 7", textual=False)


def shown(changes: Any) -> Any:
    """Return changes with the types of their values: 1, true and 1.0 are not the same."""
    return {name: (type(value), value) for name, value in changes.items()}


@pytest.mark.slow
@settings(max_examples=300 * EFFORT, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_a_record_is_read_by_its_pattern_as_field_by_field(raw, random):
    order = list(raw.items())
    random.shuffle(order)
    by_pattern, by_field = both(dict(order))
    if by_pattern is None:
        is_left = raw["pfaId"] not in NORMAL or len(patterns._patterns) >= patterns.MAX_PATTERNS
        assert is_left or isinstance(by_field, Fault)
    else:
        assert shown(by_pattern) == shown(by_field)


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "pfaId"])
def test_no_value_of_a_field_is_taken_that_is_refused_by_itself(name, monkeypatch):
    """Nor is another one kept: true and 1 are equal in a set."""
    monkeypatch.setattr(patterns, "_patterns", {})
    for value in (*TEXTS, *NUMBERS, None, True, False, [], {}, [1], {"a": 1}):
        raw = {"pfaId": "P-1", name: value}
        for _ in range(2):  # what was found is remembered
            by_pattern, by_field = both(raw)
            if isinstance(by_field, Fault):
                assert by_pattern is None, value
            else:
                assert shown(by_pattern) == shown(by_field), value


def test_as_many_patterns_are_remembered_as_fit(monkeypatch):
    monkeypatch.setattr(patterns, "_patterns", {})
    monkeypatch.setattr(patterns, "MAX_PATTERNS", 2)
    for at in (1, 2, 3, 2):
        assert patterns.patterned_changes({"pfaId": "P-1", f"x{at}": at}) is not None
        assert len(patterns._patterns) <= 2
    kept = baseline.read_record({"pfaId": "P-1", "x3": 3}, "ORG", "line 1", textual=False)
    assert kept["x3"] == 3


@pytest.mark.parametrize("names", [["x" * 4_000], [f"{at}" for at in range(150)]])
def test_records_of_long_or_many_names_are_not_remembered(monkeypatch, names):
    monkeypatch.setattr(patterns, "_patterns", {})
    assert patterns.patterned_changes({"pfaId": "P-1", **dict.fromkeys(names, 1)}) is None
    assert patterns._patterns == {}


def test_texts_are_remembered_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(casts, "MAX_REMEMBERED", 0)
    monkeypatch.setattr(patterns, "_patterns", {})
    raw = record("P-1", model="one that is not remembered")
    by_pattern, by_field = both(raw)
    assert shown(by_pattern) == shown(by_field)
    model = next(cast for cast in casts.CASTS if cast.name == "model")
    assert raw["model"] not in model.stays


@pytest.mark.parametrize("textual", [False, True])
def test_a_text_that_is_refused_is_not_remembered(textual):
    model = next(cast for cast in casts.CASTS if cast.name == "model")
    text = "one that is too long" * 10_000
    assert isinstance(model.value(text, textual=textual), Wrong)
    assert text not in {*model.stays, *model._from_text, *model._from_json}


@pytest.mark.parametrize("textual", [False, True])
def test_blanks_around_a_value_are_not_remembered_with_it(textual):
    silo = next(cast for cast in casts.CASTS if cast.name == "areaSilo")
    text = " " * 100_000 + "A1"
    assert silo.value(text, textual=textual) == "A1"
    assert text not in {*silo.stays, *silo._from_text, *silo._from_json}


def test_long_keys_are_not_remembered():
    keys._normal.cache_clear()
    keys._first_invisible.cache_clear()
    text = "\u00e9" * 100_000
    assert keys.normal_key(text + " ") == text
    assert keys.invisible_in(text + "\u200b") == "U+200B zero width space"
    assert (keys._normal.cache_info().currsize, keys._first_invisible.cache_info().currsize) == (
        0,
        0,
    )


def test_a_row_with_a_long_text_is_read_field_by_field():
    rows = TextRows("ORG", exact_json.dumps)
    assert rows.text({"pfaId": "P-1", "areaSilo": "A1"})
    assert rows.text({"pfaId": "P-1", "areaSilo": " " * 100_000 + "A1"}) is None


def test_blanks_of_long_texts_are_not_remembered(monkeypatch):
    monkeypatch.setattr(intake, "_blanks_of", {})
    name = next(iter(intake.DEFAULTED))
    assert intake._blanks({name: " " * 100_000}) == list(intake.DEFAULTED)
    assert intake._blanks_of == {}
    assert name not in intake._blanks({name: "a value"})
    assert len(intake._blanks_of) == 1
