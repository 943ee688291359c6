"""The sandbox's grid service, read back by the library's decoder."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pfa_core.pems.sandbox.grid import DEFAULT_MAP
from pfa_core.pems.sandbox.server import RowShape, Sandbox, Totals
from pfa_core.pems.services.grid import decode_page
from tests.pems.sandbox_client import Client, record


def ids(answer) -> list[str]:
    return [row["pfaId"] for row in decode_page(answer.json, DEFAULT_MAP).rows]


def paged(offset: int, size: int | str = 2) -> dict[str, object]:
    return {"ROW_OFFSET": offset, "NUMBER_OF_ROWS_FIRST_RETURNED": size}


def test_a_row_holds_every_filled_field_as_text_under_its_alias():
    held = record(
        1,
        source="Purchase",
        isDiscontinued=True,
        monthlyRate=None,
        purchasePrice=Decimal("1000.50"),
        manufacturer='O\'Neill "&" Sons\n\\',
    )
    with Sandbox(organization="RIO", records=[held]) as sandbox, Client(sandbox.url) as client:
        grid = client.grid().json["Result"]["ResultData"]["GRID"]
    cells = {cell["ALIAS_NAME"]: cell["VALUE"] for cell in grid["DATA"]["ROW"][0]["CELL"]}
    assert grid["TOTAL-COUNT"] == "1"
    assert cells == {
        "pfs_id": "R-1",
        "pfs_a_org": "RIO",
        "pfs_f_category": "Crane",
        "pfs_f_source": "PURCHASE",
        "pfs_f_dor": "PROJECT",
        "pfs_f_actualized": "N",
        "pfs_f_discontinued": "Y",
        "pfs_f_fundstrans": "N",
        "pfs_f_purchase": "1000.50",
        "pfs_f_manufacturer": 'O\'Neill "&" Sons\n\\',
        "pfs_f_startdate": "2026-01-01",
        "pfs_f_enddate": "2026-02-01",
        "pfs_lastmodified": "2026-11-01T08:00:00Z",
    }


@pytest.mark.parametrize("shape", RowShape)
@pytest.mark.parametrize(("totals", "total"), [("text", 1), ("rows", 1), ("none", None)])
def test_either_row_shape_and_any_total_is_decoded_to_the_same(shape, totals, total):
    with (
        Sandbox(
            organization="RIO", records=[record(1)], shape=shape, totals=Totals(totals)
        ) as sandbox,
        Client(sandbox.url) as client,
    ):
        page = decode_page(client.grid().json, DEFAULT_MAP)
    assert (page.rows[0]["pfaId"], page.rows[0]["monthlyRate"], page.total) == (
        "R-1",
        "1000",
        total,
    )


def test_aliases_come_from_the_field_map():
    aliases = {"no": "pfaId", "price": "monthlyRate"}
    with (
        Sandbox(organization="RIO", records=[record(1)], field_map=aliases) as sandbox,
        Client(sandbox.url) as client,
    ):
        assert decode_page(client.grid().json, aliases).rows == [
            {"pfaId": "R-1", "monthlyRate": "1000"}
        ]


@pytest.fixture(scope="module")
def five():
    records = [
        record(1, organization="RIO", monthlyRate=900),
        record(2, organization="RIO", monthlyRate=1000, source="Purchase"),
        record(3, organization="RIO2", monthlyRate=None),
        record(4, organization="RIO", monthlyRate=Decimal("1000.0")),
        record(5, organization="HOLNG", monthlyRate=80, isActualized=True),
    ]
    with Sandbox(records=records) as sandbox, Client(sandbox.url) as client:
        yield client


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (paged(0), ["R-1", "R-2"]),
        (paged(4), ["R-5"]),
        (paged(5), []),
        (paged(0, 1), ["R-1"]),
        (paged(1, "3"), ["R-2", "R-3", "R-4"]),
        ({}, ["R-1", "R-2", "R-3", "R-4", "R-5"]),
    ],
)
def test_pages_follow_the_offset_and_tell_the_whole_total(five, page, expected):
    answer = five.grid(GRID=page)
    assert ids(answer) == expected
    assert decode_page(answer.json, DEFAULT_MAP).total == 5


def test_a_page_is_never_longer_than_the_limit():
    records = [record(number) for number in range(1, 8)]
    with (
        Sandbox(organization="RIO", records=records, page_limit=3) as sandbox,
        Client(sandbox.url) as client,
    ):
        assert len(ids(client.grid(GRID=paged(0, 10_000)))) == 3


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({"ALIAS_NAME": "pfs_id", "TYPE": "DESC"}, ["R-5", "R-4", "R-3", "R-2", "R-1"]),
        ({"ALIAS_NAME": "pfs_f_rental", "TYPE": "ASC"}, ["R-5", "R-1", "R-2", "R-4", "R-3"]),
        ({"ALIAS_NAME": "pfs_f_rental", "TYPE": "DESC"}, ["R-2", "R-4", "R-1", "R-5", "R-3"]),
    ],
)
def test_rows_are_sorted_as_asked_the_empty_last_and_equal_ones_by_id(five, sort, expected):
    assert ids(five.grid(ADDON_SORT=sort)) == expected


@pytest.mark.parametrize(
    ("alias", "operator", "value", "expected"),
    [
        ("pfs_a_org", "BEGINS", "RIO", ["R-1", "R-2", "R-3", "R-4"]),
        ("pfs_a_org", "=", "RIO", ["R-1", "R-2", "R-4"]),
        ("pfs_a_org", "=", "NONE", []),
        ("pfs_f_rental", "=", "1000.00", ["R-2", "R-4"]),
        ("pfs_f_rental", ">=", "1000", ["R-2", "R-4"]),
        ("pfs_f_source", "=", "RENTAL", ["R-1", "R-3", "R-4", "R-5"]),
        ("pfs_f_actualized", "=", "Y", ["R-5"]),
        ("pfs_lastmodified", ">=", "2026-11-04T08:00:00Z", ["R-4", "R-5"]),
        ("pfs_lastmodified", ">=", "2026-11-04T09:00:00.000+01:00", ["R-4", "R-5"]),
        ("pfs_lastmodified", ">=", "2026-11-04T08:00:00.001Z", ["R-5"]),
    ],
)
def test_rows_are_filtered_by_what_their_values_mean(five, alias, operator, value, expected):
    shown = {"ALIAS_NAME": alias, "OPERATOR": operator, "VALUE": value}
    answer = five.grid(ADDON_FILTER=shown)
    assert ids(answer) == expected
    assert decode_page(answer.json, DEFAULT_MAP).total == len(expected)


def test_of_a_list_of_filters_all_must_hold(five):
    answer = five.grid(
        ADDON_FILTER=[
            {"ALIAS_NAME": "pfs_a_org", "OPERATOR": "BEGINS", "VALUE": "RIO"},
            {"ALIAS_NAME": "pfs_lastmodified", "OPERATOR": ">=", "VALUE": "2026-11-03T00:00:00Z"},
        ]
    )
    assert ids(answer) == ["R-3", "R-4"]


def test_a_change_shows_in_the_next_page_with_its_new_stamp():
    with Sandbox(organization="RIO", records=[record(1)]) as sandbox, Client(sandbox.url) as client:
        before = decode_page(client.grid().json, DEFAULT_MAP).rows[0]
        client.put("R-1", 1, model="X")
        after = decode_page(client.grid().json, DEFAULT_MAP).rows[0]
    assert ("model" in before, after["model"]) == (False, "X")
    assert after["pemsVersion"] > before["pemsVersion"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"GRID": {"GRID_NAME": ""}}, "names no grid"),
        ({"GRID": {"ROW_OFFSET": -1}}, "ROW_OFFSET is not a whole number"),
        ({"GRID": {"ROW_OFFSET": "x"}}, "ROW_OFFSET is not a whole number"),
        ({"GRID": {"NUMBER_OF_ROWS_FIRST_RETURNED": 1.5}}, "NUMBER_OF_ROWS"),
        ({"ADDON_SORT": {"ALIAS_NAME": "nonsense"}}, "no column 'nonsense'"),
        ({"ADDON_SORT": "pfs_id"}, "is not an object"),
        (
            {"ADDON_FILTER": {"ALIAS_NAME": "nonsense", "OPERATOR": "=", "VALUE": ""}},
            "no column 'nonsense'",
        ),
        (
            {"ADDON_FILTER": {"ALIAS_NAME": "pfs_id", "OPERATOR": "LIKE", "VALUE": ""}},
            "'LIKE' is not an operator",
        ),
        (
            {"ADDON_FILTER": {"ALIAS_NAME": "pfs_f_rental", "OPERATOR": "=", "VALUE": "x"}},
            "'x' is not a value",
        ),
        (
            {"ADDON_FILTER": {"ALIAS_NAME": ["x"], "OPERATOR": "=", "VALUE": "x"}},
            "no column",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_an_alert_with_200(five, parts, message):
    answer = five.grid(**parts)
    assert answer.status == 200
    assert message in answer.json["ErrorAlert"][0]["Message"]
    assert "Result" not in answer.json
