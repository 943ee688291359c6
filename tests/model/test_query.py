"""Filters, orders and cursors."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import InvalidRequest
from pfa_core.model.cursor import decode_cursor, encode_cursor
from pfa_core.model.query import (
    DEFAULT_SORT,
    LOOKED_AT,
    Filters,
    Query,
    SortKey,
    complete_sort,
    parse_sort,
)
from pfa_core.model.record import SORTABLE, Kind
from tests.model.strategies import dates, money, storable_texts

PLACES = {
    Kind.TEXT: storable_texts,
    Kind.CHOICE: st.sampled_from(["Rental", "PROJECT"]),
    Kind.DATE: dates,
    Kind.FLAG: st.sampled_from(["true", "false"]),
    Kind.MONEY: money.map(
        lambda amount: f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
    ),
}
BY_CATEGORY = parse_sort("category,-forecastStart")


@given(st.tuples(*[st.none() | storable_texts] * 2, storable_texts).map(list))
def test_a_cursor_tells_the_place_it_was_made_for(values):
    assert decode_cursor(BY_CATEGORY, encode_cursor(BY_CATEGORY, values)) == values


@given(st.permutations(sorted(SORTABLE)), st.data())
def test_a_cursor_fits_any_order(names, data):
    count = data.draw(st.integers(1, 4))
    sort = tuple(SortKey(name, data.draw(st.booleans())) for name in names[:count])
    places = {
        name: PLACES[field.kind]
        if field.kind is Kind.FLAG or name == "pfaId"
        else st.none() | PLACES[field.kind]
        for name, field in SORTABLE.items()
    }
    values = [data.draw(places[key.field]) for key in complete_sort(sort)]
    assert decode_cursor(sort, encode_cursor(sort, values)) == values


def test_a_cursor_has_nothing_that_a_shell_or_a_url_would_change():
    cursor = encode_cursor(DEFAULT_SORT, ["'\"$ \\?ÿ~~>>", "P/1+2"])
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


def forged(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "Ä",
        "\ud800",
        forged(b"\xff\xfe"),
        forged(b"[" * 100_000),
        forged(5),
        forged(None),
        forged([]),
        forged(["forecastStart,pfaId"]),
        forged(["forecastStart,pfaId", 5]),
        forged(["forecastStart,pfaId", None]),
        forged(["forecastStart,pfaId", ["2025-12-01"]]),
        forged(["forecastStart,pfaId", ["2025-12-01", "P-1", "more"]]),
        forged(["forecastStart,pfaId", ["2025-12-01", "a\0b"]]),
        forged(["forecastStart,pfaId", ["2025-12-01", "\ud800"]]),
        forged(["-forecastStart,pfaId", ["2025-12-01", "P-1"]]),
        forged([["forecastStart"], ["2025-12-01", "P-1"]]),
        forged({"forecastStart,pfaId": 1, "b": 2}),
    ],
    ids=range(20),
)
def test_a_cursor_that_no_list_gave_is_refused(cursor):
    with pytest.raises(InvalidRequest):
        decode_cursor(DEFAULT_SORT, cursor)


@pytest.mark.parametrize(
    ("field", "place"),
    [("monthlyRate", "abc"), ("monthlyRate", "1; DROP TABLE x"), ("monthlyRate", ""),
     ("monthlyRate", "NaN"), ("monthlyRate", "１"), ("isActualized", "maybe"), ("isActualized", ""),
     ("isActualized", None)],
)  # fmt: skip
def test_a_place_that_its_field_cannot_have_is_refused(field, place):
    sort = (SortKey(field),)
    with pytest.raises(InvalidRequest):
        decode_cursor(sort, encode_cursor(sort, [place, "P-1"]))


def test_no_record_is_without_an_id():
    with pytest.raises(InvalidRequest, match="invalid cursor"):
        decode_cursor(BY_CATEGORY, encode_cursor(BY_CATEGORY, ["Crane", None, None]))
    assert decode_cursor(BY_CATEGORY, encode_cursor(BY_CATEGORY, [None, None, "P-1"]))


def test_a_cursor_of_another_order_is_refused():
    cursor = encode_cursor(DEFAULT_SORT, ["2025-12-01", "P-1"])
    with pytest.raises(InvalidRequest, match="another order"):
        decode_cursor(parse_sort("-forecastStart"), cursor)


@given(st.text(max_size=60))
def test_any_text_as_a_cursor_is_taken_or_refused_and_nothing_else(text):
    with suppress(InvalidRequest):
        assert len(decode_cursor(DEFAULT_SORT, text)) == 2


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", DEFAULT_SORT),
        (" , ", DEFAULT_SORT),
        ("forecastStart", (SortKey("forecastStart"),)),
        ("-forecastStart", (SortKey("forecastStart", descending=True),)),
        (
            "category, -monthlyRate",
            (SortKey("category"), SortKey("monthlyRate", descending=True)),
        ),
        ("pfaId", (SortKey("pfaId"),)),
        ("class,isActualized", (SortKey("class"), SortKey("isActualized"))),
    ],
)
def test_a_sort_names_fields_and_a_minus_turns_one_round(text, keys):
    assert parse_sort(text) == keys


@pytest.mark.parametrize(
    "text",
    ["x", "-", "--pfaId", "+pfaId", "pfa_id", "PFAID", "description", "category,category",
     "category,-category", "category desc", "pfaId;DROP TABLE pfa_mirror", "hasPlan"],
)  # fmt: skip
def test_a_sort_by_anything_else_is_refused(text):
    with pytest.raises(InvalidRequest):
        parse_sort(text)


def test_the_id_makes_every_order_total_once():
    assert complete_sort(DEFAULT_SORT) == (SortKey("forecastStart"), SortKey("pfaId"))
    down = (SortKey("pfaId", descending=True), SortKey("category"))
    assert complete_sort(down) == down


def test_filters_in_force_are_named_as_the_command_line_spells_them():
    filters = Filters(
        category=("Crane",), class_=("04",), area_silo=("Silo 4",), start_from="2025-12-01",
        actualized=False, transferable=True, state=("draft", "pristine"), changed=True, search="x",
    )  # fmt: skip
    assert filters.given() == [
        "category", "class", "area-silo", "start-from", "actualized", "transferable", "state",
        "changed", "search",
    ]  # fmt: skip
    assert Filters().given() == []


def test_an_empty_search_is_no_filter_in_force():
    assert Filters(search="").given() == []


@pytest.mark.parametrize("name", ["start_from", "start_to", "end_from", "end_to"])
@pytest.mark.parametrize("value", ["2025-12-10", "2024-02-29", "0001-01-01"])
def test_a_date_filter_takes_a_day(name, value):
    assert getattr(Filters(**{name: value}), name) == value


@pytest.mark.parametrize(
    "value",
    ["", "2025-02-30", "10.12.2025", "20251210", "2025-W50-3", "2025-12-10T00:00:00", "today",
     "２０２５-12-10", "' OR 1=1 --"],
)  # fmt: skip
def test_a_date_filter_takes_nothing_else_and_says_which_parameter_it_is(value):
    with pytest.raises(InvalidRequest, match="`start_from`"):
        Filters(start_from=value)


@pytest.mark.parametrize(
    "state", ["pristine", "draft", "committed", "syncing", "sync_error", "conflict"]
)
def test_a_state_that_a_list_can_show_may_be_asked_for(state):
    assert Filters(state=(state,)).state == (state,)


@pytest.mark.parametrize("state", ["synced", "DRAFT", "", "draft,committed", "'; DROP TABLE x; --"])
def test_no_other_state_may_be_asked_for(state):
    with pytest.raises(InvalidRequest):
        Filters(state=(state,))


@pytest.mark.parametrize("name", ["category", "id", "contract", "session"])
@pytest.mark.parametrize("value", ['Trailer, 40" flat', "' OR '1'='1", "%_\\", "", "😀"])
def test_any_text_that_a_database_holds_may_be_filtered_by(name, value):
    assert getattr(Filters(**{name: (value,)}), name) == (value,)


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
@pytest.mark.parametrize("name", ["category", "id", "session", "search"])
def test_a_text_that_no_database_holds_is_refused(name, value):
    with pytest.raises(InvalidRequest):
        Filters(**{name: value if name == "search" else (value,)})


@pytest.mark.parametrize(
    ("filters", "pristine", "touched"),
    [
        (Filters(), True, False),
        (Filters(category=("Crane",)), True, False),
        (Filters(changed=True), False, False),
        (Filters(session=("s",)), False, True),
        (Filters(state=("draft",)), False, True),
        (Filters(state=("draft", "pristine")), True, True),
        (Filters(state=("pristine",), session=("s",)), False, True),
    ],
)
def test_filters_know_whether_untouched_records_can_match(filters, pristine, touched):
    assert (filters.wants_pristine(), filters.narrows_touched()) == (pristine, touched)


def test_filters_know_which_fields_they_look_at():
    assert Filters().looked_at() == []
    assert Filters(state=("draft",), session=("s",), changed=True, search="").looked_at() == []
    assert Filters(category=("",), start_to="2026-01-01", actualized=False).looked_at() == [
        "category",
        "forecastStart",
        "isActualized",
    ]


def test_every_filter_on_values_says_what_it_looks_at():
    about_me = {"state", "session", "changed"}
    of_expression = {"where", "today"}
    assert {item.name for item in fields(Filters)} == LOOKED_AT.keys() | about_me | of_expression


def test_an_order_may_be_given_as_a_list():
    given: Any = [SortKey("model")]
    assert Query(sort=given) == Query(sort=(SortKey("model"),))
