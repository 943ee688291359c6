"""Relative values: what each form makes of a number or date, against other arithmetic."""

from __future__ import annotations

import json
from calendar import monthrange
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core import Relative
from pfa_core.errors import FaultCode, InvalidRequest
from pfa_core.model.delta import clean
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.relative import relative_text
from pfa_core.model.relative_json import read_plain_or_relative, relative_value
from pfa_core.model.values import Wrong

RATE, END = FIELDS["monthlyRate"], FIELDS["forecastEnd"]


def made(field: Any, text: str, value: Any, decimals: int | None = None) -> Any:
    """What a text makes of a value of the field."""
    found = relative_text(field, text, decimals)
    assert isinstance(found, Relative), found
    return found.of(field, value)


def refused(found: Any) -> tuple[str, str]:
    assert isinstance(found, Wrong), found
    return found.code, found.reason


# -- money ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("+5%", 1000, "1050"),
        ("+5%", Decimal("1234.56"), "1296.288"),
        ("-10%", Decimal("0.01"), "0.009"),
        ("-100%", 12, "0"),
        ("+250", Decimal("0.5"), "250.5"),
        ("-250", 250, "0"),
        ("*1.05", Decimal("19.99"), "20.9895"),
        ("*0", 19, "0"),
        ("/2", 3, "1.5"),
        ("/0.5", 3, "6"),
        ("/1024", 1, "0.0009765625"),
        ("+0", Decimal("1.10"), "1.1"),
        ("*1", 7, "7"),
        ("+12.5%", 8, "9"),
    ],
)
def test_money_is_computed_exactly(text: str, value: Any, result: str) -> None:
    assert made(RATE, text, value) == Decimal(result)


@pytest.mark.parametrize(
    ("decimals", "value", "result"),
    [
        (2, Decimal("1234.56"), "1296.29"),
        (2, Decimal("0.1"), "0.11"),  # 0.105: the half goes up
        (0, Decimal("1234.56"), "1296"),
        (0, 10, "11"),  # 10.5
        (6, Decimal("0.000001"), "0.000001"),
        (None, Decimal("0.1"), "0.105"),
    ],
)
def test_money_is_rounded_only_where_asked(decimals: int | None, value: Any, result: str) -> None:
    assert made(RATE, "+5%", value, decimals) == Decimal(result)


@pytest.mark.parametrize(
    ("text", "value", "code", "part"),
    [
        (
            "/3",
            100,
            FaultCode.INVALID_RANGE,
            "more than 12 decimals after /3; round it with `decimals=2`, in a file",
        ),
        ("-250", 100, FaultCode.INVALID_RANGE, "must not be negative, is -150 after -250"),
        ("-150%", 100, FaultCode.INVALID_RANGE, "must not be negative"),
        ("*10", 10**14, FaultCode.INVALID_RANGE, "must be below 10^15"),
        ("+0.000000000001%", 1, FaultCode.INVALID_RANGE, "more than 12 decimals"),
    ],
)
def test_a_result_that_the_field_cannot_have_is_refused(
    text: str, value: Any, code: str, part: str
) -> None:
    found = refused(made(RATE, text, value))
    assert found[0] == code
    assert part in found[1]


def test_what_has_too_many_decimals_is_taken_rounded() -> None:
    assert made(RATE, "/3", 100, 2) == Decimal("33.33")


def written(number: Fraction) -> str:
    """A number of at most six decimals as text."""
    return f"{Decimal(number.numerator) / Decimal(number.denominator):f}"


amounts = st.integers(0, 10**9).map(lambda n: Fraction(n, 100))
numbers = st.integers(0, 10**6).map(lambda n: Fraction(n, 1000))
ORACLES = {
    "+%": lambda v, n: v + v * n / 100,
    "-%": lambda v, n: v - v * n / 100,
    "+": lambda v, n: v + n,
    "-": lambda v, n: v - n,
    "*": lambda v, n: v * n,
    "/": lambda v, n: v / n,
}


@given(amounts, numbers, st.sampled_from(sorted(ORACLES)), st.sampled_from([None, 0, 2, 6]))
def test_money_is_that_of_fractions(
    value: Fraction, number: Fraction, form: str, decimals: int | None
) -> None:
    text = form[0] + written(number) + form[1:]
    if form == "/" and not number:
        assert refused(relative_text(RATE, text)) == ("INVALID_RANGE", "cannot be divided by zero")
        return
    exact = ORACLES[form](value, number)
    result = made(RATE, text, Decimal(written(value)), decimals)
    if exact < 0:
        rounds_to_zero = decimals is not None and exact >= Fraction(-1, 2 * 10**decimals)
        assert rounds_to_zero == (not isinstance(result, Wrong))
    elif decimals is None:
        fits = (exact * 10**12).denominator == 1
        assert Fraction(result) == exact if fits else refused(result)[0] == "INVALID_RANGE"
    else:
        # another way: decimal division to many digits, then decimal's own rounding
        digits = Decimal(exact.numerator * 10**20 // exact.denominator).scaleb(-20)
        assert result == digits.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


# -- dates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day", "result"),
    [
        ("+14d", "2025-12-31", "2026-01-14"),
        ("-2w", "2026-01-14", "2025-12-31"),
        ("+0d", "2026-01-14", "2026-01-14"),
        ("+1m", "2026-01-30", "2026-02-28"),
        ("+1m", "2026-01-31", "2026-02-28"),
        ("+1m", "2024-01-31", "2024-02-29"),
        ("+1m", "2026-02-28", "2026-03-28"),  # the day stays, not the end of the month
        ("-1m", "2026-03-31", "2026-02-28"),
        ("+3m", "2026-11-30", "2027-02-28"),
        ("+13m", "2025-12-01", "2027-01-01"),
        ("+1y", "2024-02-29", "2025-02-28"),
        ("-1y", "2025-02-28", "2024-02-28"),
        ("+12m", "2024-02-29", "2025-02-28"),
    ],
)
def test_dates_move_by_the_calendar(text: str, day: str, result: str) -> None:
    assert made(END, text, day) == result


@pytest.mark.parametrize("text", ["+9000y", "-3000y", "+999999m", "+999999w", "-999999w"])
def test_a_date_outside_of_the_calendar_is_refused(text: str) -> None:
    code, reason = refused(made(END, text, "2026-01-14"))
    assert (code, reason) == (
        "INVALID_RANGE",
        f"would leave the years 1 to 9999 after {text}: 2026-01-14",
    )


def walked(day: date, months: int) -> date:
    """Move by months, one after the other, day by day: the oracle."""
    first = day.replace(day=1)
    for _ in range(abs(months)):
        first += timedelta(31) if months > 0 else timedelta(-1)
        first = first.replace(day=1)
    return first + timedelta(min(day.day, monthrange(first.year, first.month)[1]) - 1)


@given(
    st.dates(date(1990, 1, 1), date(2090, 12, 31)),
    st.integers(-200, 200),
    st.sampled_from("dwmy"),
)
def test_dates_are_those_of_a_walk(day: date, number: int, unit: str) -> None:
    result = made(END, f"{number:+d}{unit}", day.isoformat())
    if unit in "dw":
        assert (date.fromisoformat(result) - day).days == number * (7 if unit == "w" else 1)
    else:
        assert result == walked(day, number * (12 if unit == "y" else 1)).isoformat()


# -- the forms --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(
            ("monthlyRate", each)
            for each in ("5%", "250", "*5%", "/2%", "+", "+ 5%", "+1e3", "+14d")
        ),
        *(("monthlyRate", each) for each in ("", "+1.1234567890123", "+1234567890123456", "x")),
        *(("forecastEnd", each) for each in ("2026-01-01", "14d", "+14", "+1.5m", "+5%", "+1q")),
        *(("model", each) for each in ("+5%", "*1.05", "=X", "category", "/2")),
        *(("source", each) for each in ("+5%", "dor")),
        ("isActualized", "isDiscontinued"),
    ],
)
def test_other_texts_are_values_themselves(field: str, text: str) -> None:
    found = relative_text(FIELDS[field], text)
    assert found is None or isinstance(found, Wrong)
    assert found is None or text in ("*5%", "/2%")


def test_a_field_gives_its_value_where_it_is_of_the_same_kind() -> None:
    found = relative_text(FIELDS["forecastStart"], "originalStart")
    assert isinstance(found, Relative)
    assert (found.source, found.of(FIELDS["forecastStart"], "2026-01-31")) == (
        "originalStart",
        "2026-01-31",
    )
    assert refused(relative_text(RATE, "originalStart")) == (
        "INVALID_TYPE",
        "must be a number, and originalStart is a date",
    )


# -- in deltas --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("monthlyRate", {"add": "5%"}, "+5%"),
        ("monthlyRate", {"add": "+5%"}, "+5%"),
        ("monthlyRate", {"add": "-10%"}, "-10%"),
        ("monthlyRate", {"add": 250}, "+250"),
        ("monthlyRate", {"add": -250}, "-250"),
        ("monthlyRate", {"add": Decimal("0.50")}, "+0.50"),
        ("monthlyRate", {"multiply": Decimal("1.05")}, "*1.05"),
        ("monthlyRate", {"multiply": "1.05", "round": None}, "*1.05"),
        ("monthlyRate", {"divide": 2}, "/2"),
        ("monthlyRate", {"field": "purchasePrice"}, "purchasePrice"),
        ("forecastEnd", {"add": "14d"}, "+14d"),
        ("forecastEnd", {"add": "-2w"}, "-2w"),
        ("forecastEnd", {"field": "originalEnd"}, "originalEnd"),
    ],
)
def test_an_object_is_the_text_of_an_assignment(field: str, value: Any, text: str) -> None:
    expected = relative_text(FIELDS[field], text)
    assert relative_value(FIELDS[field], value) == expected
    assert clean("P-1", {field: value}, read_plain_or_relative) == ({field: expected}, [])


def test_an_object_says_what_its_result_is_rounded_to() -> None:
    assert relative_value(RATE, {"add": "5%", "round": 2}) == relative_text(RATE, "+5%", 2)


@pytest.mark.parametrize(
    ("field", "value", "faults"),
    [
        ("monthlyRate", {}, ["a relative value has one of add, multiply, divide, field"]),
        ("monthlyRate", {"add": None}, ["a relative value has one of"]),
        ("monthlyRate", {"add": 1, "multiply": 2}, ["a relative value has one of"]),
        ("monthlyRate", {"add": "x"}, ["add: not a relative value: 'x'; use \"5%\""]),
        ("monthlyRate", {"add": True}, ["add: not a relative value: true"]),
        ("monthlyRate", {"add": "14d"}, ["add: not a relative value"]),
        ("monthlyRate", {"multiply": "-2"}, ["multiply: not a relative value"]),
        ("monthlyRate", {"multiply": "5%"}, ["not a relative value: *5%"]),
        ("monthlyRate", {"divide": 0}, ["cannot be divided by zero"]),
        ("monthlyRate", {"add": 10**15}, ["add: not a relative value"]),
        ("monthlyRate", {"add": 10**5000}, ["add: not a relative value"]),
        ("monthlyRate", {"add": Decimal("1E+999999")}, ["add: not a relative value"]),
        ("monthlyRate", {"add": Decimal("1E-999999")}, ["add: not a relative value"]),
        ("monthlyRate", {"add": Decimal("NaN")}, ["add: not a relative value"]),
        ("monthlyRate", {"add": float("inf")}, ["add: not a relative value"]),
        ("monthlyRate", {"add": 1, "round": 7}, ["round: must be 0 to 6, not 7"]),
        ("monthlyRate", {"add": 1, "round": True}, ["round: must be 0 to 6, not true"]),
        ("monthlyRate", {"field": "purchasePrise"}, ["did you mean purchasePrice?"]),
        (
            "monthlyRate",
            {"field": "originalStart"},
            ["must be a number, and originalStart is a date"],
        ),
        ("monthlyRate", {"field": 1}, ["field: not a field of a record: 1"]),
        ("monthlyRate", {"ad": 1, "round": 9}, ["did you mean add?", "round: must", "has one of"]),
        ("forecastEnd", {"add": 14}, ['use "14d"']),
        ("forecastEnd", {"multiply": 2}, ["multiply: not a relative value: 2"]),
        ("forecastEnd", {"add": "1d", "round": 2}, ["round: a date is not rounded"]),
        ("model", {"add": "1"}, ["takes no relative value (numbers and dates do)"]),
        ("isActualized", {"add": "1"}, ["takes no relative value"]),
    ],
)
def test_every_fault_of_an_object_is_reported(field: str, value: Any, faults: list[str]) -> None:
    values, found = clean("P-1", {field: value}, read_plain_or_relative)
    assert values == {}
    assert len(found) == len(faults)
    for fault, part in zip(found, faults, strict=True):
        assert (fault.pfa_id, fault.field) == ("P-1", field)
        assert part in fault.message


@pytest.mark.parametrize("value", [{"add": "5%"}, Relative.percent(5)])
def test_what_takes_no_relative_values_refuses_them(value: Any) -> None:
    values, (fault,) = clean("P-1", {"monthlyRate": value})
    assert (values, fault.code) == ({}, "INVALID_TYPE")
    assert fault.message.startswith("must be a number, not ")


@pytest.mark.parametrize(
    ("field", "text", "means"),
    [
        ("monthlyRate", "+5%", '{"add": "5%"}'),
        ("monthlyRate", "-250", '{"add": "-250"}'),
        ("monthlyRate", " *1.05", '{"multiply": "1.05"}'),
        ("monthlyRate", "/2", '{"divide": "2"}'),
        ("monthlyRate", "purchasePrice", '{"field": "purchasePrice"}'),
        ("forecastEnd", "-2w", '{"add": "-2w"}'),
        ("forecastEnd", "originalEnd", '{"field": "originalEnd"}'),
        ("forecastEnd", "originalEnds", ""),
        ("monthlyRate", "5%", ""),
        ("source", "+5%", ""),
    ],
)
def test_a_text_that_would_be_relative_is_refused_with_its_object(
    field: str, text: str, means: str
) -> None:
    values, (fault,) = clean("P-1", {field: text}, read_plain_or_relative)
    assert values == {}
    before, hint, said = fault.message.partition("; relative values are objects of JSON: ")
    assert (before.startswith("must"), bool(hint), said) == (True, bool(means), means)
    if means:
        read = clean("P-1", {field: json.loads(means)}, read_plain_or_relative)
        assert read == ({field: relative_text(FIELDS[field], text.strip())}, [])


def test_a_typed_value_is_for_fields_of_its_kind() -> None:
    five = Relative.percent(5)
    assert clean("P-1", {"monthlyRate": five}, read_plain_or_relative) == (
        {"monthlyRate": five},
        [],
    )
    _, faults = clean("P-1", {"forecastEnd": five, "model": five}, read_plain_or_relative)
    assert [fault.message for fault in faults] == [
        "must be a date, and +5% is of a number",
        "takes no relative value (numbers and dates do), not +5%",
    ]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (Relative.percent(5), "+5%"),
        (Relative.percent("-2.5"), "-2.5%"),
        (Relative.percent(Decimal("0.5")), "+0.5%"),
        (Relative.plus(250), "+250"),
        (Relative.plus(-250.5), "-250.5"),
        (Relative.times("1.05"), "*1.05"),
        (Relative.divided_by(4), "/4"),
    ],
)
def test_a_typed_number_is_that_of_its_text(typed: Relative, text: str) -> None:
    assert typed == relative_text(RATE, text)
    assert str(typed) == text


def test_a_typed_date_is_that_of_its_text() -> None:
    assert Relative.later("14d") == relative_text(END, "+14d")
    assert Relative.later("-1m") == relative_text(END, "-1m")
    assert Relative.value_of("originalEnd") == relative_text(END, "originalEnd")
    assert Relative.value_of("purchasePrice", decimals=2).decimals == 2


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Relative.percent("x"), "not a number with up to 15 digits: 'x'"),
        (lambda: Relative.percent(10**16), "not a number with up to 15 digits"),
        (lambda: Relative.plus(Decimal("1E-99")), "not a number with up to 15 digits"),
        (lambda: Relative.percent(5, decimals=7), "`decimals` must be 0 to 6, not 7"),
        (lambda: Relative.times(-1), "not a relative value: '*-1'"),
        (lambda: Relative.divided_by(0), "cannot be divided by zero"),
        (lambda: Relative.later("2 weeks"), "not a relative value: '+2 weeks'"),
        (lambda: Relative.later("originalEnd"), "not a relative value"),
        (lambda: Relative.value_of("model"), "not a number or date of a record: 'model'"),
        (lambda: Relative.value_of("originalEnd", decimals=2), "a date is not rounded"),
    ],
)
def test_a_typed_value_that_means_nothing_is_refused(make: Any, part: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        make()
    assert part in refusal.value.message


def test_every_number_and_date_takes_relative_values_and_nothing_else() -> None:
    taking = {
        field.name
        for field in FIELDS.values()
        if relative_text(field, "+5%") or relative_text(field, "+1d")
    }
    assert taking == {f.name for f in FIELDS.values() if f.kind in (Kind.MONEY, Kind.DATE)}
