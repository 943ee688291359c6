"""Keys that look alike become one; what cannot be seen in a key is found."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.keys import MAX_REMEMBERED_LENGTH, invisible_in, normal_key
from pfa_core.model.record import FIELDS
from pfa_core.model.spelling import Spellings
from pfa_core.model.values import Wrong, read_value


@pytest.mark.parametrize(
    "written",
    [
        "Y-é 1",
        " Y-é 1",
        "Y-é 1\t",
        "\u00a0Y-é 1\u2003",
        "Y-é\u00a01",
        "Y-e\u0301 1",
        "\u3000Y-e\u0301\u202f1 ",
    ],
)
def test_keys_that_look_alike_have_one_form(written: str) -> None:
    assert normal_key(written) == "Y-é 1"


@given(st.text())
def test_the_form_of_a_form_is_itself(text: str) -> None:
    once = normal_key(text)
    assert normal_key(once) == once
    assert once == unicodedata.normalize("NFC", once)


@pytest.mark.parametrize("blanks", ["", " " * 100_000])
def test_a_text_longer_than_any_key_is_refused_at_once(blanks: str) -> None:
    """Sorting a hundred thousand combining marks takes ten seconds, a million a thousand."""
    text = "Y" + "\u0301\u0316" * 500_000
    began = time.process_time()
    assert normal_key(text + blanks) == text
    for field in (field for field in FIELDS.values() if field.is_key):
        assert isinstance(read_value(field, text), Wrong)
    assert time.process_time() - began < 5


def test_no_key_in_any_form_is_too_long_for_its_form() -> None:
    longest = max(field.max_length for field in FIELDS.values() if field.is_key)
    forms = max(len(unicodedata.normalize("NFD", chr(code))) for code in range(sys.maxunicode + 1))
    assert longest * forms <= MAX_REMEMBERED_LENGTH
    written = "\u03b1\u0313\u0300\u0345" * longest
    assert normal_key(f"{written:>100000}") == "\u1f82" * longest


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("Y\u200b1", "U+200B zero width space"),
        ("Y1\u200d", "U+200D zero width joiner"),
        ("\ufeffY1", "U+FEFF zero width no-break space"),
        ("Y\u00ad1", "U+00AD soft hyphen"),
        ("Y\u202e1", "U+202E right-to-left override"),
        ("Y\x071", "U+0007 control character"),
        ("Y\n1", "U+000A control character"),
        ("Y\u20281", "U+2028 line separator"),
        ("Y\u31641", "U+3164 hangul filler"),
        ("Y\u034f1", "U+034F combining grapheme joiner"),
    ],
)
def test_an_invisible_character_is_named(key: str, name: str) -> None:
    assert invisible_in(normal_key(key)) == name


@pytest.mark.parametrize("key", ["", "Y-1", "Y 1", "é", "ｶ", "吊車", "رافعة", "🏗", "a\u0323"])
def test_what_can_be_seen_is_accepted(key: str) -> None:
    assert invisible_in(normal_key(key)) == ""


@pytest.mark.parametrize(
    "written",
    ["monthlyRate", "MonthlyRate", "monthly_rate", "monthlyRate ", "Monthly Rate", "MONTHLY-RATE"],
)
def test_a_name_is_found_by_each_of_its_spellings(written: str) -> None:
    assert Spellings(["pfaId", "monthlyRate"]).find(written) == "monthlyRate"


def test_of_two_names_alike_the_first_one_counts() -> None:
    assert Spellings(["a_b", "aB"]).find("AB") == "a_b"


def test_another_name_is_not_found_and_one_like_a_missing_name_is_suggested() -> None:
    known = Spellings(["category", "class", "monthlyRate"])
    assert known.find("montlyRate") is None
    assert known.nearest("montly_rate", ["category", "monthlyRate"]) == "monthlyRate"
    assert known.nearest("montly_rate", ["category"]) == ""
    assert known.nearest("categories", ["category"]) == ""
    assert Spellings(["equipment"]).nearest("equipmentTag", ["equipment"]) == ""
    assert Spellings(["equipment"]).nearest("equipments", ["equipment"]) == "equipment"
    assert known.nearest("rateUom", ["category", "class", "monthlyRate"]) == ""
