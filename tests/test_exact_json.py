"""JSON that keeps every digit, and refuses what cannot be stored."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core import exact_json
from pfa_core.exact_json import JsonFault, dumps, loads, loads_line, loads_strict
from tests.model.strategies import json_values

decimals = st.decimals(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("5500.50", Decimal("5500.50"), "5500.50"),
        ("0.10", Decimal("0.10"), "0.10"),
        ("1.0", Decimal("1.0"), "1.0"),
        ("5", 5, "5"),
        (
            "123456789012345678901234567890.123456789",
            None,
            "123456789012345678901234567890.123456789",
        ),
        ("1e5", Decimal("1E+5"), "100000"),
        ("-0", 0, "0"),
        ('"00123"', "00123", '"00123"'),
        ('"1e5"', "1e5", '"1e5"'),
        ('"Müller"', "Müller", '"Müller"'),
        ('"\\u00e9\\ud83d\\ude00"', "é😀", '"é😀"'),
        ("[ 1 , null , true ]", [1, None, True], "[1,null,true]"),
    ],
)
@pytest.mark.parametrize("read", [loads, loads_strict, loads_line])
def test_what_was_read_is_written_with_its_own_digits(read, text, value, shown):
    found = read(text)
    assert value is None or (found, type(found)) == (value, type(value))
    assert dumps(found) == shown


@given(decimals)
def test_a_decimal_survives_the_round_trip_with_all_its_digits(number):
    read = loads(dumps(number))
    assert Decimal(read) == number
    assert str(read) == str(number) or number.as_tuple().exponent >= 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("-1.25E+5"), "-125000"),
        (Decimal("0E+3"), "0"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("0E-10"), "0.0000000000"),
        (Decimal("1E+399"), "1" + "0" * 399),
        ({"a": [Decimal("1E+3"), "1E+3", 7]}, '{"a":[1000,"1E+3",7]}'),
        ("an id with 1E-7 in it", '"an id with 1E-7 in it"'),
        pytest.param(Decimal("1E+400"), "1E+400", id="more than 400 digits"),
        pytest.param(Decimal("1E-400"), "1E-400", id="more than 400 decimals"),
    ],
)
def test_decimals_are_plain_numbers_as_far_as_they_can_be_read_again(value, text):
    assert dumps(value) == text
    assert loads_strict(text) == value


@given(st.decimals(-(10**20), 10**20, allow_nan=False, allow_infinity=False, places=6))
def test_money_survives_the_strict_round_trip_too(number):
    read = loads_strict(dumps({"monthlyRate": number}))["monthlyRate"]
    assert str(read) == str(number)


@given(json_values)
def test_any_value_survives_both_round_trips(value):
    assert loads(dumps(value)) == value
    assert loads_strict(dumps(value)) == value


@given(json_values)
def test_what_is_written_stands_on_one_line_and_others_can_read_it(value):
    text = dumps(value)
    assert "\n" not in text
    json.loads(text)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1,}', 1, 8),
        ('{"a": 1,\n "b" 2}', 2, 6),
        ("", 1, 1),
        ("{", 1, 2),
        ("[1, 2", 1, 6),
        ('{"a": tru}', 1, 7),
        ("{'a': 1}", 1, 2),
        ("[1] [2]", 1, 5),
        ("\n\n  x", 3, 3),
        ('["a\nb"]', 1, 4),
        ('{"a": 01}', 1, 8),
        ("{1: 2}", 1, 2),
    ],
)
def test_text_that_is_no_json_is_refused_with_line_and_column(text, line, column):
    with pytest.raises(JsonFault) as caught:
        loads_strict(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"line {line} column {column}: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN"),
        ("[Infinity]", "Infinity"),
        ("[-Infinity]", "-Infinity"),
        ('{"a": 1, "a": 2}', "'a' is listed twice"),
        ('{"x": {"a": 1, "\\u0061": 1}}', "'a' is listed twice"),
        ("1e401", "out of any range"),
        ("1e-401", "out of any range"),
        pytest.param("9" * 401, "out of any range", id="of 401 digits"),
        pytest.param("0." + "9" * 400, "out of any range", id="of 400 decimals"),
        pytest.param("1e" + "9" * 390, "out of any range", id="with a huge exponent"),
        ('"a\\u0000b"', "NUL"),
        ('{"a\\u0000b": 1}', "NUL"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        pytest.param("[" * 101 + "]" * 101, "nested deeper", id="too deep a list"),
        pytest.param('{"a":' * 101 + "1" + "}" * 101, "nested deeper", id="too deep an object"),
        pytest.param("[" * 100_000 + "]" * 100_000, "nested deeper", id="far too deep"),
        pytest.param("[" * 100_000, "", id="far too deep and never closed"),
    ],
)
def test_json_that_cannot_be_stored_is_refused_with_a_reason(text, reason):
    with pytest.raises(JsonFault) as caught:
        loads_strict(text)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("9" * 400, id="400 digits"),
        pytest.param("1e400", id="an exponent of 400"),
        pytest.param("[" * 100 + "]" * 100, id="100 levels"),
    ],
)
def test_the_limits_themselves_are_taken(text):
    loads_strict(text)


@given(st.text(max_size=40) | st.text('{}[]",:0123456789.eE-+ntf\\u \n', max_size=40))
def test_any_text_is_read_or_refused_and_nothing_else(text):
    with suppress(JsonFault):
        value = loads_strict(text)
        assert loads_strict(dumps(value)) == value


@pytest.mark.parametrize("text", ["A", "\\u0041"], ids=["plain", "escaped"])
@pytest.mark.parametrize(("begin", "end"), ["[]", ('{"a":', "}")], ids=["lists", "objects"])
def test_a_hundred_levels_are_read_however_many_brackets_there_are(begin, end, text):
    deep = begin * 99 + f'"{text}"' + end * 99
    value = loads_strict(f"[{deep},{deep},[]]")
    assert value[0] == value[1]
    with pytest.raises(JsonFault, match="nested deeper than 100 levels"):
        loads_strict(f"[{deep},[{deep}],[]]")


def found(read, text):
    """Return what a parser makes of a text, with its types, or what it refuses."""
    try:
        return repr(read(text))
    except JsonFault as fault:
        return str(fault)


LINES = (
    '{"a": 1, "a": 2}',
    '{"a" : 1, "b": 2, "b": 3}',
    '{"a\\u0062": 1}',
    '{"a": NaN}',
    '{"a": -Infinity}',
    '{"a": 1e400}',
    '{"a": 1E-401}',
    '{"a": -0}',
    '{"a": -0.0}',
    '{"a": 1.0E+2}',
    '{"a": 01}',
    '{"a": .5}',
    '{"a": 5.}',
    '{"a": +1}',
    '{"a": "\x00"}',
    '{"a": "\t"}',
    '{"a": "\ud800"}',
    '{"a": [1, {"b": 2}]}',
    '\ufeff{"a": 1}',
    ' {"a": 1} ',
    '{"a": 1,}',
    '{"a": 1} x',
    "{a: 1}",
    "{'a': 1}",
    '{"a": true, "b": null, "c": ""}',
    '{"": ""}',
    "{}",
    "[]",
    '""',
    "",
    '{"a": "é😀"}',
    '{"a": 1, "b": "x\x7f"}',
    '{"a": 1}\xa0',
    '{"a": /**/ 1}',
    '{"a": 1}{"a": 2}',
    '{"a": ' + "9" * 18 + "}",
    '{"a": ' + "9" * 19 + "}",
    '{"a": ' + "9" * 401 + "}",
    '{"a": 0.' + "9" * 401 + "}",
    '{"a": ' + "9" * 5000 + "}",
)


@pytest.mark.parametrize("text", LINES)
def test_a_line_is_parsed_as_by_the_strict_parser(text, monkeypatch):
    assert found(loads_line, text) == found(loads_strict, text)
    monkeypatch.setattr(exact_json, "_flat_parser", lambda: None)  # a machine without msgspec
    assert found(loads_line, text) == found(loads_strict, text)


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=3), json_values, max_size=5), st.data())
def test_a_drawn_line_is_parsed_as_by_the_strict_parser(value, data):
    """Whole, and with a character more, less or other, which may make two keys equal."""
    text = dumps(value)
    assert found(loads_line, text) == found(loads_strict, text)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    put = data.draw(
        st.sampled_from(["", '"', ":", ",", "{", "1", "e", "-", " ", "\\", "a", '"a":1,'])
    )
    mutated = text[:at] + put + text[at + cut :]
    assert found(loads_line, mutated) == found(loads_strict, mutated)


def test_what_is_flat_is_parsed_by_msgspec():
    """The test of the tests above: the fast way is taken at all."""
    assert exact_json._flat('{"a": 1, "b": "x", "c": 1.50, "d": null}') == {
        "a": 1,
        "b": "x",
        "c": Decimal("1.50"),
        "d": None,
    }
