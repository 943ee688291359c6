"""Keys that look alike become one; what cannot be seen in a key is found."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.keys import invisible_in, normal_key
from pfa_core.model.spelling import Spellings


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
