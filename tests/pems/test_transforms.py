"""Transforms of values: exact, refusing nothing themselves, and back again where there is a way."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.pems.mapping.date_formats import DateFormat, DateFormatFault
from pfa_core.pems.mapping.steps import Chain, TransformFault
from pfa_core.pems.mapping.transforms import read_step
from tests.model.strategies import storable_texts

CELLS = {"a": "x", "b": "", "c": "z"}


def chain(*spec, default: str = "") -> Chain:
    return Chain(tuple(map(read_step, spec)), default)


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        ("direct", " aB ", " aB "),
        ("uppercase", "aß", "ASS"),
        ("lowercase", "AB", "ab"),
        ("trim", " a b ", "a b"),
        ({"replace": {"pattern": ".", "replacement": ","}}, "1.2.3", "1,2,3"),
        ({"replace": {"pattern": r"\d+", "replacement": "#", "regex": True}}, "a12b3", "a#b#"),
        ({"substring": {"start": 1, "end": 3}}, "abcd", "bc"),
        ({"substring": {"start": 2}}, "abcd", "cd"),
        ({"substring": {"start": 9}}, "abcd", ""),
        ({"concat": {"aliases": ["a", "b", "c", "gone"], "separator": "-"}}, "", "x-z"),
        ({"concat": {"aliases": ["a", "c"]}}, "old", "xz"),
        ({"multiply": "4.345"}, "1000", "4345"),
        ({"multiply": Decimal("4.345")}, "0.1", "0.4345"),
        ({"multiply": 2}, "-1.50", "-3"),
        ({"multiply": 2}, "much", "much"),
        ({"multiply": 2}, "", ""),
        ({"multiply": 2}, "NaN", "NaN"),
        ({"divide": 3}, "1", "0.333333"),
        ({"divide": 100}, "1234", "12.34"),
        ({"multiply": "1.000001"}, "999999999999999.123456", "1000000999999999.123455"),
        ({"round": 2}, "1234.5678", "1234.57"),
        ({"round": 2}, "0.125", "0.13"),
        ({"round": 0}, "2.5", "3"),
        ("round", "2.5", "3"),
        ("floor", "2.9", "2"),
        ("floor", "-2.1", "-3"),
        ("ceil", "2.1", "3"),
        ("ceil", "-0.5", "0"),
        ("date_format", "2026-03-05T10:00:00Z", "2026-03-05"),
        ({"date_format": "dd.MM.yyyy"}, "2026-03-05", "05.03.2026"),
        ({"date_format": "dd.MM.yyyy HH:mm"}, "2026-03-05", "05.03.2026 00:00"),
        ({"date_format": "dd.MM.yyyy"}, "soon", "soon"),
        ({"date_parse": "dd/MM/yyyy"}, " 5/3/2026 ", "2026-03-05"),
        ({"date_parse": "dd-MMM-yyyy"}, "05-mar-2026", "2026-03-05"),
        ({"date_parse": "dd-MMM-yyyy HH:mm"}, "05-MAR-2026 17:30", "2026-03-05"),
        ({"date_parse": "dd/MM/yyyy"}, "31/02/2026", "31/02/2026"),
        ({"date_parse": "dd/MM/yyyy"}, "", ""),
        ({"date_parse": "dd-MMM-yyyy"}, "05-abc-2026", "05-abc-2026"),  # no month is so called
        ({"date_add": {"days": 30}}, "2026-01-31", "2026-03-02"),
        ({"date_add": {"months": 1}}, "2026-01-31", "2026-02-28"),
        ({"date_add": {"months": 11}}, "2026-02-15", "2027-01-15"),
        ({"date_add": {"years": 1}}, "2024-02-29", "2025-02-28"),
        ({"date_subtract": {"days": 1}}, "2026-03-01", "2026-02-28"),
        ({"date_subtract": {"months": 1}}, "2026-01-31", "2025-12-31"),
        ({"date_subtract": {"years": 1}}, "0001-01-01", "0001-01-01"),
        ({"date_add": {"days": 1}}, "9999-12-31", "9999-12-31"),
        ({"date_add": {"days": 1}}, "", ""),
        ({"map": {"R": "Rental", "P": "Purchase"}}, "R", "Rental"),
        ({"map": {"R": "Rental"}}, "Lease", "Lease"),
        ({"map": {"1": True, "0": False}}, "1", "true"),
        ({"default": "x"}, "", "x"),
        ({"default": "x"}, "y", "y"),
        ("equals_y", "y", "true"),
        ("equals_y", " Y ", "true"),
        ("equals_y", "true", "false"),
        ("equals_y", "", "false"),
        ("equals_true", "TRUE", "true"),
        ("equals_true", "1", "false"),
    ],
)
def test_each_transform_does_what_it_is_called(spec, text, expected):
    assert chain(spec).read(text, CELLS) == expected


def test_the_default_comes_first_and_steps_run_in_order():
    assert chain("trim", {"multiply": 2}, {"round": 1}, default=" 0.33 ").read("", {}) == "0.7"


@pytest.mark.parametrize(
    "spec",
    [
        "lookup",
        "multiply",
        5,
        None,
        {},
        {"trim": 1},
        {"floor": 1},
        {"trim": None, "round": 2},
        {"multiply": "much"},
        {"multiply": 0},
        {"multiply": -1},
        {"divide": "0.0000001"},
        {"divide": 10_000_001},
        {"round": -1},
        {"round": 13},
        {"round": True},
        {"substring": {}},
        {"substring": {"start": -1}},
        {"substring": {"start": 0, "stop": 1}},
        {"replace": {"pattern": "", "replacement": ""}},
        {"replace": {"pattern": "x" * 101, "replacement": ""}},
        {"replace": {"pattern": "(", "replacement": "", "regex": True}},
        {"replace": {"pattern": "a", "replacement": r"\9", "regex": True}},
        {"replace": {"pattern": "a", "replacement": 5}},
        {"concat": {"aliases": "a"}},
        {"concat": {"aliases": ["a"], "separator": 5}},
        {"map": {}},
        {"map": {"a": ["b"]}},
        {"date_parse": 5},
        {"date_parse": "dd/MM"},
        {"date_format": "DD/MM/YYYY"},
        {"date_add": {"weeks": 1}},
        {"date_add": {"days": 1, "months": 1}},
        {"date_add": {"days": "1"}},
        "date_parse",
    ],
    ids=repr,
)
def test_what_is_no_transform_is_refused(spec):
    with pytest.raises(TransformFault):
        read_step(spec)


@pytest.mark.parametrize("text", ["", "yyyy", "yyyy-MM-dd-dd", "yyyy-MM-MMM-dd", "yyyy-MM-dd" * 9])
def test_a_format_needs_year_month_and_day_once_each(text):
    with pytest.raises(DateFormatFault):
        DateFormat(text)


@given(st.dates(), st.sampled_from(["dd-MMM-yyyy", "yyyy/MM/dd", "MM.dd.yyyy HH:mm:ss.SSS"]))
def test_a_day_comes_back_through_any_format(day, text):
    form = DateFormat(text)
    assert form.parse(form.write(day)) == day.isoformat()


@pytest.mark.parametrize(
    "spec",
    [
        "uppercase",
        "trim",
        "equals_y",
        {"default": "x"},
        {"date_parse": "dd/MM/yyyy"},
        {"date_format": "dd/MM/yyyy"},
    ],
    ids=repr,
)
def test_what_only_changes_how_a_value_is_written_is_reversible(spec):
    assert chain(spec).is_reversible
    assert chain(spec).write("Ab 2026") == "Ab 2026"


@pytest.mark.parametrize(
    "spec",
    [
        {"round": 2},
        "floor",
        "ceil",
        {"substring": {"start": 1}},
        {"concat": {"aliases": ["a"]}},
        {"replace": {"pattern": "a", "replacement": "b"}},
        {"date_add": {"months": 1}},
        {"date_subtract": {"years": 1}},
        {"map": {"a": "x", "b": "x"}},
    ],
    ids=repr,
)
def test_what_loses_something_is_not_reversible(spec):
    assert not chain("trim", spec).is_reversible
    assert chain("trim", spec).write("1") is None


factors = st.decimals("0.000001", "1000000", places=6).filter(bool)
kept = st.decimals(0, 10**9, places=6)


@given(kept, factors, st.sampled_from(["multiply", "divide"]))
def test_a_scaled_amount_comes_back_exactly_or_is_said_not_to(amount, factor, name):
    scaled = chain({name: factor})
    text = format(amount, "f")
    sent = scaled.write(text)
    if sent is not None:
        assert Decimal(scaled.read(sent, {})) == amount
        assert -Decimal(sent).as_tuple().exponent <= 12


@given(st.decimals(0, 10**12, places=2), st.sampled_from(["4.345", "12", "0.2301", "30.44"]))
def test_money_in_cents_always_has_a_way_back_through_a_rate(amount, factor):
    scaled = chain({"multiply": factor})
    sent = scaled.write(format(amount, "f").rstrip("0").rstrip(".") or "0")
    assert sent is not None
    assert Decimal(scaled.read(sent, {})) == amount


@given(st.dates(date(1, 6, 1), date(9999, 6, 1)), st.integers(0, 100))
def test_days_added_are_taken_away_again(day, days):
    moved = chain({"date_add": {"days": days}})
    sent = moved.write(day.isoformat())
    assert sent == (day - timedelta(days=days)).isoformat()
    assert moved.read(sent, {}) == day.isoformat()


@given(storable_texts)
def test_a_table_is_read_backwards_or_said_not_to(text):
    table = chain({"map": {"R": "Rental", "": "none", "x": "R"}})
    sent = table.write(text)
    if sent is not None:
        assert table.read(sent, {}) == text
    assert table.write("Rental") == "R"
    assert table.write("x") is None


def test_a_typed_value_is_spared_what_undoes_the_grids_way_of_writing():
    assert chain({"date_parse": "yyyy-dd-MM"}, "trim").read_value(" 2026-03-05 ") == "2026-03-05"
    assert chain("equals_y").read_value("true") == "true"
    assert chain({"multiply": 2}, default="5").read_value("") == "10"
    assert chain({"concat": {"aliases": ["a"]}}).read_value("x") is None


@given(storable_texts)
def test_any_text_passes_through_any_transform(text):
    spec = [
        {"multiply": 2}, {"divide": 3}, {"round": 2}, "floor", "ceil", "date_format",
        {"date_parse": "dd/MM/yyyy"}, {"date_add": {"months": 1}}, {"date_add": {"days": 1}},
        {"substring": {"start": 1}}, "equals_y", "trim", {"map": {"a": "b"}},
    ]  # fmt: skip
    for one in spec:
        assert isinstance(chain(one).read(text, {}), str)
