"""Each kind of field: what it takes, what it refuses, from JSON and from text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.record import EDITABLE, FIELDS, Kind
from pfa_core.model.values import Wrong, read_text, read_value, shorten
from tests.model.strategies import json_values

LARGEST = Decimal("999999999999999.999999999999")


def code_of(result: object) -> str:
    assert isinstance(result, Wrong), result
    return result.code


@pytest.mark.parametrize(
    ("given_value", "stored"),
    [
        ("2025-12-10", "2025-12-10"),
        ("2024-02-29", "2024-02-29"),
        ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
        ("2025-12-10T00:00:00", "2025-12-10"),
        ("2025-12-10T00:00:00Z", "2025-12-10"),
        ("2025-12-10T00:00:00.000Z", "2025-12-10"),
        ("2025-12-10T00:00:00+00:00", "2025-12-10"),
        (None, None),
    ],
)
def test_a_date_is_a_day_with_or_without_midnight(given_value, stored):
    assert read_value(FIELDS["forecastStart"], given_value) == stored


@pytest.mark.parametrize(
    "refused",
    [
        "2025-02-29",
        "2025-02-30",
        "2025-13-01",
        "2025-00-10",
        "0000-01-01",
        "2025-12-10T08:00:00Z",
        "2025-12-10T00:00:00+01:00",
        "2025-12-1",
        "10.12.2025",
        "12/10/2025",
        "20251210",
        "2025-W50-3",
        "２０２５-12-10",
        "2025-12-10\n",
        " 2025-12-10",
        "",
        20251210,
        True,
        ["2025-12-10"],
        {"date": "2025-12-10"},
    ],
)
def test_what_is_no_day_is_refused(refused):
    assert code_of(read_value(FIELDS["forecastStart"], refused)) == "INVALID_TYPE"


@pytest.mark.parametrize(
    ("given_value", "stored"),
    [
        (0, 0),
        (5000, 5000),
        (Decimal("5500.50"), Decimal("5500.50")),
        (0.1, Decimal("0.1")),
        ("5500.50", Decimal("5500.50")),
        (" 12 ", Decimal(12)),
        ("000.10", Decimal("0.10")),
        (LARGEST, LARGEST),
        (Decimal("0.000000000001"), Decimal("0.000000000001")),
        (None, None),
    ],
)
def test_money_keeps_its_digits(given_value, stored):
    result = read_value(FIELDS["monthlyRate"], given_value)
    assert (result, str(result)) == (stored, str(stored))


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (-1, "INVALID_RANGE"),
        (Decimal("-0.01"), "INVALID_RANGE"),
        ("-1", "INVALID_RANGE"),
        (10**15, "INVALID_RANGE"),
        pytest.param(10**400, "INVALID_RANGE", id="of 401 digits"),
        (Decimal("1E+15"), "INVALID_RANGE"),
        (Decimal("0.0000000000001"), "INVALID_RANGE"),
        ("0.0000000000001", "INVALID_RANGE"),
        ("twelve", "INVALID_TYPE"),
        ("", "INVALID_TYPE"),
        ("1e3", "INVALID_TYPE"),
        ("1,000", "INVALID_TYPE"),
        ("$5", "INVALID_TYPE"),
        ("+5", "INVALID_TYPE"),
        (".5", "INVALID_TYPE"),
        ("5.", "INVALID_TYPE"),
        ("NaN", "INVALID_TYPE"),
        ("Infinity", "INVALID_TYPE"),
        (float("nan"), "INVALID_TYPE"),
        (float("inf"), "INVALID_TYPE"),
        (Decimal("sNaN"), "INVALID_TYPE"),
        (True, "INVALID_TYPE"),
        (False, "INVALID_TYPE"),
        ([1], "INVALID_TYPE"),
        ({}, "INVALID_TYPE"),
    ],
)
def test_what_is_no_amount_is_refused(refused, code):
    assert code_of(read_value(FIELDS["purchasePrice"], refused)) == code


def test_minus_zero_is_no_negative_amount():
    assert read_value(FIELDS["monthlyRate"], Decimal("-0.00")) == 0


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_true_or_false(value):
    assert read_value(FIELDS["isDiscontinued"], value) is value


@pytest.mark.parametrize("refused", ["true", "yes", "Y", "", 1, 0, None, [], Decimal(1)])
def test_nothing_else_is_a_flag(refused):
    assert code_of(read_value(FIELDS["isDiscontinued"], refused)) == "INVALID_TYPE"


@pytest.mark.parametrize("value", ["Rental", "Purchase", " Rental "])
def test_a_choice_is_one_of_its_list(value):
    assert read_value(FIELDS["source"], value) == value.strip()


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        ("Lease", "INVALID_ENUM_VALUE"),
        ("rental", "INVALID_ENUM_VALUE"),
        ("RENTAL", "INVALID_ENUM_VALUE"),
        ("", "INVALID_ENUM_VALUE"),
        (1, "INVALID_ENUM_VALUE"),
        (True, "INVALID_ENUM_VALUE"),
        (["Rental"], "INVALID_ENUM_VALUE"),
        ({}, "INVALID_ENUM_VALUE"),
        (None, "MISSING_REQUIRED_FIELD"),
    ],
)
def test_nothing_outside_the_list_is_a_choice(refused, code):
    assert code_of(read_value(FIELDS["source"], refused)) == code


@pytest.mark.parametrize(
    ("name", "given_value", "stored"),
    [
        ("category", "  Crane\t", "Crane"),
        ("category", "", ""),
        ("category", None, None),
        ("category", 'Trailer, 40" flat', 'Trailer, 40" flat'),
        pytest.param("category", "x" * 200, "x" * 200, id="longest key text"),
        ("equipment", " EQ-1 ", " EQ-1 "),
        pytest.param("equipment", "x" * 100_000, "x" * 100_000, id="longest free text"),
        ("model", "00123", "00123"),
        ("model", "1e5", "1e5"),
    ],
)
def test_a_text_is_trimmed_unless_it_is_free_text(name, given_value, stored):
    assert read_value(FIELDS[name], given_value) == stored


@pytest.mark.parametrize(
    ("name", "refused", "code"),
    [
        pytest.param("category", "x" * 201, "INVALID_RANGE", id="too long a key text"),
        pytest.param("equipment", "x" * 100_001, "INVALID_RANGE", id="too long a free text"),
        ("category", 5, "INVALID_TYPE"),
        ("category", True, "INVALID_TYPE"),
        ("category", ["Crane"], "INVALID_TYPE"),
    ],
)
def test_a_text_that_is_none_or_too_long_is_refused(name, refused, code):
    assert code_of(read_value(FIELDS[name], refused)) == code


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("monthlyRate", "5500.50", Decimal("5500.50")),
        ("monthlyRate", "", None),
        ("monthlyRate", "null", None),
        ("forecastStart", "2025-12-10", "2025-12-10"),
        ("forecastStart", " 2025-12-10T00:00:00Z ", "2025-12-10"),
        ("forecastStart", "  ", None),
        ("source", "RENTAL", "Rental"),
        ("source", "purchase", "Purchase"),
        ("dor", "beo", "BEO"),
        ("source", "", None),
        ("category", "Crane", "Crane"),
        ("category", "null", None),
        *[("isActualized", text, True) for text in ("Y", "y", "yes", "TRUE", "true", "1", " Y ")],
        *[("isActualized", text, False) for text in ("N", "no", "False", "0", "")],
    ],
)
def test_a_text_becomes_the_value_of_its_field(name, text, value):
    result = read_text(FIELDS[name], text)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("monthlyRate", "twelve", "INVALID_TYPE"),
        ("monthlyRate", "-1", "INVALID_RANGE"),
        ("forecastStart", "2025-02-30", "INVALID_TYPE"),
        ("source", "Lease", "INVALID_ENUM_VALUE"),
        ("isActualized", "maybe", "INVALID_TYPE"),
        ("isActualized", "null", "INVALID_TYPE"),
        ("isActualized", "2", "INVALID_TYPE"),
    ],
)
def test_a_text_that_its_field_cannot_have_is_refused(name, text, code):
    assert code_of(read_text(FIELDS[name], text)) == code


@given(name=st.sampled_from(sorted(FIELDS)), value=json_values)
def test_a_value_that_was_read_reads_as_itself(name, value):
    field = FIELDS[name]
    once = read_value(field, value)
    if not isinstance(once, Wrong):
        assert read_value(field, once) == once


@given(name=st.sampled_from(sorted(FIELDS)), text=st.text(max_size=30))
def test_any_text_is_read_or_refused_and_never_breaks_the_reader(name, text):
    result = read_text(FIELDS[name], text)
    assert isinstance(result, (Wrong, str, bool, Decimal, type(None)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Crane", "'Crane'"),
        ("a\x1b[31mb\n", "'a\\x1b[31mb\\n'"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (2, "2"),
        (1, "1"),
        (0, "0"),
        (Decimal("1.00"), "1.00"),
        (Decimal("0.5"), "0.5"),
        ({"a": 1}, "an object"),
        ([1], "a list"),
        pytest.param(10**5000, "a number of hundreds of digits", id="huge"),
    ],
)
def test_a_message_shows_a_value_as_it_was_written(value, shown):
    assert shorten(value) == shown


@given(st.text() | json_values, st.integers(5, 60))
def test_a_message_never_shows_more_than_its_width_nor_control_characters(value, width):
    shown = shorten(value, width)
    assert len(shown) <= max(width, len("a number of hundreds of digits"))
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)


def test_editable_fields_are_those_of_the_field_table():
    assert set(EDITABLE) == {
        "areaSilo", "category", "class", "source", "dor", "isActualized", "isDiscontinued",
        "isFundsTransferable", "monthlyRate", "purchasePrice", "manufacturer", "model", "equipment",
        "forecastStart", "forecastEnd", "actualStart", "actualEnd",
    }  # fmt: skip
    assert {name for name in FIELDS if FIELDS[name].kind is Kind.CHOICE} == {
        "source",
        "dor",
        "rateUom",
    }
