"""Numbers and dates of countries: certain, in doubt, or neither."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import InvalidRequest
from pfa_core.model.notation import (
    Notation,
    of_serial,
    readings_of_date,
    readings_of_number,
)

COMMA, POINT = Notation(decimal=","), Notation(decimal=".")
UNSAID = Notation()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1234", "1234"),
        ("0.500", "0.500"),
        ("12,50", "12.50"),
        ("1234,5", "1234.5"),
        ("1,2345", "1.2345"),
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u202f234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1.234.567", "1234567"),
        ("1,234,567", "1234567"),
        ("1.234.567,8", "1234567.8"),
        ("-12,5", "-12.5"),
        (" 12,5 ", "12.5"),
    ],
)
def test_one_reading_is_certain(text: str, value: str) -> None:
    assert [*readings_of_number(text, UNSAID).values()] == [value]


@pytest.mark.parametrize("text", ["1.234", "1,234", "12.345", "999,000", "-1.234"])
def test_three_digits_after_one_mark_are_in_doubt_until_it_is_said(text: str) -> None:
    assert len(readings_of_number(text, UNSAID)) == 2
    digits = text.replace(".", "").replace(",", "")
    mark = "." if "." in text else ","
    other = "," if mark == "." else "."
    as_decimals = {mark: text.replace(",", ".")}
    as_thousands = {other: digits}
    assert readings_of_number(text, Notation(decimal=mark)) == as_decimals
    assert readings_of_number(text, Notation(decimal=other)) == as_thousands
    assert readings_of_number(text, Notation(thousands=mark)) == as_thousands
    assert readings_of_number(text, Notation(decimal=other, thousands=mark)) == as_thousands


@pytest.mark.parametrize(
    "text",
    ["", "-", "1.2.3", "1,23,456", "12 34", "1.234.56", "0,123.4", "1e5", "٣", "1..2", "1,", ".5"],
)
def test_what_no_country_writes_is_not_a_number(text: str) -> None:
    assert readings_of_number(text, UNSAID) == {}


def test_what_is_said_excludes_the_rest() -> None:
    assert readings_of_number("12.50", COMMA) == {}
    assert readings_of_number("12,50", POINT) == {}
    assert readings_of_number("1 234,50", Notation(decimal=",", thousands=".")) == {}


@given(
    st.decimals(0, 10**9, places=2), st.sampled_from([",", "."]), st.sampled_from(["", " ", "'"])
)
def test_a_number_is_read_as_it_was_written(number: Decimal, mark: str, thousands: str) -> None:
    text = f"{number:,.2f}" if thousands else f"{number:.2f}"
    text = text.replace(",", "g").replace(".", mark).replace("g", thousands)
    for said in (UNSAID, Notation(decimal=mark)):
        (value,) = readings_of_number(text, said).values()
        assert Decimal(value) == number


@pytest.mark.parametrize(
    ("text", "said", "day"),
    [
        ("31/12/2026", "", "2026-12-31"),
        ("12/31/2026", "", "2026-12-31"),
        ("31.12.2026 00:00:00", "", "2026-12-31"),
        ("05/05/2026", "", "2026-05-05"),
        ("2026/1/5", "", "2026-01-05"),
        ("3/4/2026", "dmy", "2026-04-03"),
        ("3/4/2026", "mdy", "2026-03-04"),
        ("3-4-2026", "dmy", "2026-04-03"),
        ("46380", "serial", "2026-12-24"),
    ],
)
def test_a_date_has_one_reading(text: str, said: str, day: str) -> None:
    assert {*readings_of_date(text, Notation(dates=said)).values()} == {day}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("31/12/2026", "mdy"),
        ("31/31/2026", ""),
        ("30/2/2026", ""),
        ("1/2/26", "dmy"),
        ("1/2.2026", "dmy"),
        ("46380", "dmy"),
        ("46380", ""),
        ("46380.5", "serial"),
        ("31/12/2026 10:30", "dmy"),
    ],
)
def test_what_is_not_such_a_date_has_none(text: str, said: str) -> None:
    assert readings_of_date(text, Notation(dates=said)) == {}


def test_a_day_that_may_be_a_month_is_in_doubt() -> None:
    assert readings_of_date("3/4/2026", UNSAID) == {"dmy": "2026-04-03", "mdy": "2026-03-04"}


@pytest.mark.parametrize(
    ("number", "day"),
    [(1, "1900-01-01"), (59, "1900-02-28"), (60, ""), (61, "1900-03-01"), (2958465, "9999-12-31")],
)
def test_a_spreadsheet_counts_a_day_that_was_none(number: int, day: str) -> None:
    assert of_serial(number) == day


@pytest.mark.parametrize("number", [-1, 0, 2958466, 1.5, float("nan"), float("inf")])
def test_other_numbers_are_not_days(number: float) -> None:
    assert of_serial(number) == ""


def test_from_1904_days_count_otherwise() -> None:
    assert of_serial(0, is_1904=True) == "1904-01-01"
    assert of_serial(46380 - 1462, is_1904=True) == "2026-12-24"


@pytest.mark.parametrize(
    "said",
    [
        {"decimal": ";"},
        {"thousands": "x"},
        {"dates": "dym"},
        {"separator": "::"},
        {"encoding": "klingon"},
        {"encoding": "base64"},
        {"decimal": ",", "thousands": ","},
    ],
)
def test_an_unknown_notation_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        Notation(**said)


def test_words_do_for_characters() -> None:
    said = Notation(decimal="comma", thousands="point", separator="semicolon")
    assert (said.decimal, said.thousands, said.separator) == (",", ".", ";")
