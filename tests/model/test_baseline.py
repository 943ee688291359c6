"""Baseline records: cast, defaulted, refused one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import Fault
from pfa_core.model.baseline import FOREIGN, alters_key, read_record
from pfa_core.model.record import FIELDS
from tests.factories import record
from tests.model.strategies import json_values

LEAST = {
    "pfaId": "P-1",
    "organization": "ORG",
    "areaSilo": "",
    "category": "",
    "class": "",
    "source": "Rental",
    "dor": "PROJECT",
    "isActualized": False,
    "isDiscontinued": False,
    "isFundsTransferable": False,
    "monthlyRate": None,
    "purchasePrice": None,
    "manufacturer": "",
    "model": "",
    "contract": None,
    "equipment": None,
    "originalStart": None,
    "originalEnd": None,
    "hasPlan": False,
    "forecastStart": None,
    "forecastEnd": None,
    "actualStart": None,
    "actualEnd": None,
    "hasActuals": False,
}


def read(raw, *, textual: bool = False):
    return read_record(raw, "ORG", "line 7", textual=textual)


def refused(raw, *, textual: bool = False) -> Fault:
    fault = read(raw, textual=textual)
    assert isinstance(fault, Fault), fault
    assert fault.position == "line 7"
    return fault


def test_a_whole_record_is_kept_as_it_came():
    raw = record("P-1", monthlyRate=Decimal("5500.50"), actualStart="2025-12-02", actualEnd=None)
    assert read(raw) == {**raw, "organization": "ORG", "hasPlan": True, "hasActuals": False}


@pytest.mark.parametrize("textual", [False, True])
def test_missing_fields_get_their_defaults(textual):
    assert read({"pfaId": "P-1"}, textual=textual) == LEAST


def test_null_gets_the_default_too():
    raw = {"pfaId": "P-1", "category": None, "source": None, "dor": None, "isActualized": None}
    assert read(raw) == LEAST


def test_a_record_of_texts_is_cast():
    raw = {
        "pfaId": "00123",
        "organization": "ORG",
        "monthlyRate": "5500.50",
        "purchasePrice": "",
        "source": "PURCHASE",
        "dor": "beo",
        "isActualized": "Y",
        "isDiscontinued": "",
        "model": "1e5",
        "contract": "null",
        "originalStart": "2025-12-01T00:00:00.000Z",
        "originalEnd": "2025-12-31",
        "actualStart": "",
    }
    assert read(raw, textual=True) == {
        **LEAST,
        "pfaId": "00123",
        "monthlyRate": Decimal("5500.50"),
        "source": "Purchase",
        "dor": "BEO",
        "isActualized": True,
        "model": "1e5",
        "contract": "null",
        "originalStart": "2025-12-01",
        "originalEnd": "2025-12-31",
        "hasPlan": True,
    }


def test_plan_and_actuals_follow_the_dates_whatever_the_record_says():
    claims = {"hasPlan": False, "hasActuals": True}
    kept = read(record("P-1", actualEnd=None) | claims)
    assert (kept["hasPlan"], kept["hasActuals"]) == (True, False)
    both = read(record("P-1", actualStart="2025-12-01", actualEnd="2025-12-02") | claims)
    assert (both["hasPlan"], both["hasActuals"]) == (True, True)


def test_fields_that_nobody_knows_are_kept_as_they_came():
    kept = read({"pfaId": "P-1", "vendorName": "ACME", "nested": {"a": [1, None]}})
    assert kept == {**LEAST, "vendorName": "ACME", "nested": {"a": [1, None]}}


def test_numbers_in_json_may_be_written_as_text_but_flags_may_not():
    assert read({"pfaId": "P-1", "monthlyRate": "12.50"})["monthlyRate"] == Decimal("12.50")
    assert refused({"pfaId": "P-1", "isActualized": "Y"}).code == "INVALID_TYPE"


@pytest.mark.parametrize("own", [None, "", "ORG"])
def test_a_record_of_the_organization_or_of_none_is_taken(own):
    assert read({"pfaId": "P-1", "organization": own}) == LEAST


@pytest.mark.parametrize("own", ["ORG2", "org", " ORG", "OR", 7])
def test_a_record_of_another_organization_is_refused(own):
    fault = refused({"pfaId": "P-1", "organization": own})
    assert (fault.pfa_id, fault.field, fault.code) == ("P-1", "organization", FOREIGN)


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        ({}, "pfaId", "MISSING_REQUIRED_FIELD"),
        ({"pfaId": None}, "pfaId", "MISSING_REQUIRED_FIELD"),
        ({"pfaId": ""}, "pfaId", "MISSING_REQUIRED_FIELD"),
        ({"pfaId": 123}, "pfaId", "INVALID_TYPE"),
        ({"pfaId": "  "}, "pfaId", "INVALID_RANGE"),
        pytest.param({"pfaId": "x" * 201}, "pfaId", "INVALID_RANGE", id="an id too long"),
        ({"pfaId": "P", "monthlyRate": -1}, "monthlyRate", "INVALID_RANGE"),
        ({"pfaId": "P", "monthlyRate": "abc"}, "monthlyRate", "INVALID_TYPE"),
        ({"pfaId": "P", "forecastStart": "2025-02-30"}, "forecastStart", "INVALID_TYPE"),
        ({"pfaId": "P", "source": "Lease"}, "source", "INVALID_ENUM_VALUE"),
        ({"pfaId": "P", "category": 5}, "category", "INVALID_TYPE"),
        ([], "", "INVALID_TYPE"),
        ("P-1", "", "INVALID_TYPE"),
        (None, "", "INVALID_TYPE"),
    ],
)
def test_a_record_with_a_wrong_field_is_refused_naming_it(raw, field, code):
    fault = refused(raw)
    assert (fault.field, fault.code) == (field, code)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), json_values), st.booleans())
def test_a_record_is_read_or_refused_and_reads_as_itself(raw, textual):
    result = read({"pfaId": "P-1", **raw}, textual=textual)
    if isinstance(result, dict):
        assert read(result) == result


KEYS = ("category", "class", "areaSilo", "manufacturer", "model", "contract")


@pytest.mark.parametrize("textual", [False, True])
@pytest.mark.parametrize(
    "written", ["Silo é", " Silo é", "Silo\u00a0e\u0301", "Silo é\u2003", "\tSilo é\r\n"]
)
@pytest.mark.parametrize("name", KEYS)
def test_texts_that_group_records_get_one_form(name, written, textual):
    raw = {"pfaId": "P-1", name: written}
    kept = read(raw, textual=textual)
    assert kept[name] == "Silo é"
    assert alters_key(raw, kept) is (written != "Silo é")


@pytest.mark.parametrize("textual", [False, True])
def test_the_id_gets_one_form_and_keeps_no_blank_of_another_kind(textual):
    assert read({"pfaId": "\u00a0Y-e\u03011 "}, textual=textual)["pfaId"] == "Y-é1"
    assert refused({"pfaId": "\u00a0"}, textual=textual).message == "must have 1 to 200 characters"
    fault = refused({"pfaId": "Y\t1"}, textual=textual)
    assert fault.message == "holds an invisible character, U+0009 control character"


@pytest.mark.parametrize("textual", [False, True])
@pytest.mark.parametrize("name", ["pfaId", *KEYS])
def test_an_invisible_character_in_a_key_is_refused_and_in_a_free_text_kept(name, textual):
    fault = refused({"pfaId": "P-1", name: "Y\u200b1"}, textual=textual)
    assert (fault.field, fault.code) == (name, "INVALID_TYPE")
    assert fault.message == "holds an invisible character, U+200B zero width space"
    lines = read({"pfaId": "P-1", "model": "a\tb\r\nc"}, textual=textual)
    assert lines["model"] == "a\tb\r\nc"
    free = {"description": " Y\u200b1 ", "equipment": " e\u0301 "}
    kept = read({"pfaId": "P-1", **free}, textual=textual)
    assert {each: kept[each] for each in free} == free


def test_an_empty_text_is_null_from_every_source():
    empty = {"pfaId": "P-1", "equipment": "", "description": "", "contract": "", "category": ""}
    assert read(empty) == read(empty, textual=True) == LEAST
    nulls = dict.fromkeys(empty, None) | {"pfaId": "P-1"}
    assert read(nulls) == LEAST


@pytest.mark.parametrize("textual", [False, True])
@pytest.mark.parametrize(
    "time", ["", " 00:00:00", "T00:00", "T00:00:00", " 00:00", "T00:00:00.000Z"]
)
def test_midnight_is_the_day_however_a_spreadsheet_writes_it(time, textual):
    kept = read({"pfaId": "P-1", "forecastStart": "2026-02-15" + time}, textual=textual)
    assert kept["forecastStart"] == "2026-02-15"


@pytest.mark.parametrize("time", [" 08:00:00", "T00:00:01", " 00", "T24:00"])
def test_another_time_than_midnight_is_refused(time):
    fault = refused({"pfaId": "P-1", "forecastStart": "2026-02-15" + time}, textual=True)
    assert fault.field == "forecastStart"


@pytest.mark.parametrize(
    "written", ["1200,50", "1.200,50", "1,200.50", "1 200,50", "1\u202f200,50", "1'200.50"]
)
def test_separators_of_another_country_are_refused_by_name(written):
    fault = refused({"pfaId": "P-1", "monthlyRate": written}, textual=True)
    assert fault.message.endswith(": decimals follow a point, thousands have no separator")
    assert not refused({"pfaId": "P-1", "monthlyRate": "12 EUR"}, textual=True).message.endswith(
        "separator"
    )
