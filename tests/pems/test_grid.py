"""Answers of the EAM grid in either shape, and the maps that name their aliases."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given

from pfa_core.errors import ConfigInvalid, InvalidData
from pfa_core.pems.mapping.field_map import FieldMap, read_field_map
from pfa_core.pems.mapping.steps import Chain
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.pems.profile import PemsNames
from pfa_core.pems.services.grid import GridPage, RowDecoder, decode_page
from tests.model.strategies import json_values

MAP = {"pfs_id": "pfaId", "pfs_f_rental": "monthlyRate"}


def answer(rows, **grid):
    return {"Result": {"ResultData": {"GRID": {"DATA": {"ROW": rows}, **grid}}}}


def cells(**values):
    return {"CELL": [{"ALIAS_NAME": name, "VALUE": value} for name, value in values.items()]}


def columns(**values):
    return {"D": [{"n": name, "value": value} for name, value in values.items()]}


@pytest.mark.parametrize("shape", [cells, columns])
def test_rows_of_either_shape_are_decoded_by_alias(shape):
    rows = [
        shape(pfs_id="R-1", pfs_f_rental="1248.50", pfs_other="x"),
        shape(pfs_id="R-2", pfs_f_rental=None),
        shape(),
    ]
    assert decode_page(answer(rows), MAP) == GridPage(
        [
            {"pfaId": "R-1", "monthlyRate": "1248.50", "pfs_other": "x"},
            {"pfaId": "R-2", "monthlyRate": ""},
            {},
        ],
        None,
    )


def test_a_cell_without_a_value_is_empty_and_a_number_becomes_text():
    row = {"CELL": [{"ALIAS_NAME": "pfs_id"}, {"ALIAS_NAME": "pfs_f_rental", "VALUE": 5}]}
    assert decode_page(answer([row]), MAP).rows == [{"pfaId": "", "monthlyRate": "5"}]


@pytest.mark.parametrize(
    ("grid", "total"),
    [
        ({"TOTAL-COUNT": "2800"}, 2800),
        ({"TOTAL-COUNT": 2800}, 2800),
        ({"TOTALROWS": " 7 "}, 7),
        ({"TOTAL-COUNT": None, "TOTALROWS": "7"}, 7),
        ({"TOTAL-COUNT": "many", "TOTALROWS": "7"}, 7),
        ({"TOTAL-COUNT": "1", "TOTALROWS": "7"}, 1),
        ({"TOTAL-COUNT": "-1"}, None),
        ({"TOTAL-COUNT": ""}, None),
        ({}, None),
    ],
)
def test_the_total_has_two_names_and_may_be_missing(grid, total):
    assert decode_page(answer([], **grid), MAP).total == total


def test_a_total_of_other_digits_is_none():
    assert decode_page(answer([], TOTALROWS="²"), MAP).total is None


@pytest.mark.parametrize("data", [None, {}, {"ROW": None}, {"ROW": []}])
def test_a_grid_without_rows_is_empty(data):
    page = decode_page({"Result": {"ResultData": {"GRID": {"DATA": data}}}}, MAP)
    assert page == GridPage([], None)


@pytest.mark.parametrize(
    ("alert", "message"),
    [
        ([{"Message": "Session expired"}], "Session expired"),
        ([{"Message": "first"}, {"Message": "second"}], "first"),
        ({"Message": "alone"}, "alone"),
        ("plain text", "plain text"),
        ([{"Code": 5}], "an object"),
        ([{"Message": "x" * 10_000}], "xxx"),
    ],
    ids=range(6),
)
def test_an_error_alert_is_an_error_whatever_else_came(alert, message):
    with pytest.raises(InvalidData, match="PEMS answered with an error") as caught:
        decode_page({**answer([cells(pfs_id="R-1")]), "ErrorAlert": alert}, MAP)
    assert message in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("alert", [None, [], "", {}])
def test_an_empty_alert_is_none(alert):
    assert decode_page({**answer([]), "ErrorAlert": alert}, MAP) == GridPage([], None)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        5,
        "text",
        {},
        {"Result": None},
        {"Result": {"ResultData": {"GRID": None}}},
        {"Result": {"ResultData": {"GRID": []}}},
        answer("text"),
        answer([5]),
        answer(["CELL"]),
        answer([{}]),
        answer([{"CELL": [{}]}]),
        answer([{"CELL": ["x"]}]),
        answer([{"CELL": None}]),
        answer([{"D": [{"value": 1}]}]),
        answer([{"CELL": [{"ALIAS_NAME": ["x"], "VALUE": 1}]}]),
        answer({"CELL": []}),
    ],
    ids=range(18),
)
def test_what_is_no_grid_is_refused(content):
    with pytest.raises(InvalidData, match=r"not an answer of a grid: "):
        decode_page(content, MAP)


@given(json_values)
def test_any_row_is_decoded_or_refused_and_nothing_else(row):
    try:
        page = decode_page(answer([row]), MAP)
    except InvalidData:
        return
    assert all(isinstance(value, str) for found in page.rows for value in found.values())


def written(tmp_path, text: str):
    path = tmp_path / "map.toml"
    path.write_text(text)
    return path


def test_a_map_tells_which_alias_is_which_field(tmp_path):
    path = written(
        tmp_path, '# a comment\n[fields]\npfs_id = "pfaId"\npfs_a_org = "organization"\n'
    )
    assert read_field_map(path) == {"pfs_id": "pfaId", "pfs_a_org": "organization"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table [fields]"),
        ("[other]\na = 'pfaId'", "table [fields]"),
        ("fields = 5", "table [fields]"),
        ("[fields]\npfs_id = 5", "table [fields]"),
        ("[fields]\npfs_id = ['pfaId']", "table [fields]"),
        ("[fields]\npfs_id = 'pfaId'\nx = 'colour'", "unknown field 'colour'"),
        ("[fields]\na = 'pfaId'\nb = 'pfaId'", "two aliases"),
        ("[fields]\na = 'model'", "which alias is the pfaId"),
        ("[fields]", "which alias is the pfaId"),
        ("[fields", "not valid TOML"),
        ("[" + "a." * 2000 + "a]", "deeper than 20 levels"),
        ("a = " + "[" * 2000 + "]" * 2000, "deeper than 20 levels"),
        ("[fields]\na = 'x'\na = 'y'", "not valid TOML"),
        # Decimal knows no such exponent; written without one, the second has a billion digits.
        ("[fields]\na = 1e" + "9" * 30, "not a number that a value can have: 1e99"),
        (
            "[fields]\na = 'pfaId'\n[defaults]\nsource = 1e999999999",
            "not a number that a value can have",
        ),
        (
            "[fields]\na = 'pfaId'\n[defaults]\nsource = nan",
            "not a number that a value can have: nan",
        ),
        ("[fields]\na = 'pfaId'\n[transforms]\nmonthlyRate = {multiply = -inf}", "can have: -inf"),
        ("[fields]\na = " + "9" * 5000, "not valid TOML"),
    ],
)
def test_a_map_that_maps_nothing_sensible_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigInvalid) as caught:
        read_field_map(written(tmp_path, text))
    assert message in caught.value.message


def test_a_map_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"# M\xfcller\n[fields]\n")
    for name in ("gone.toml", ".", "latin.toml"):
        with pytest.raises(ConfigInvalid):
            read_field_map(tmp_path / name)


def test_a_whole_map_transforms_what_it_renames():
    chains = {"monthlyRate": Chain((read_step({"multiply": 2}),)), "model": Chain((), "none")}
    page = decode_page(answer([cells(pfs_id="R-1", pfs_f_rental="1.25")]), FieldMap(MAP, chains))
    assert page.rows == [{"pfaId": "R-1", "monthlyRate": "2.5", "model": "none"}]


def test_chains_see_the_row_as_pems_wrote_it():
    chains = {
        "monthlyRate": Chain((read_step({"multiply": 2}),)),
        "model": Chain((read_step({"concat": {"aliases": ["pfs_f_rental", "pfs_other"]}}),)),
    }
    row = cells(pfs_id="R-1", pfs_f_rental="1", pfs_other="x")
    assert decode_page(answer([row]), FieldMap(MAP, chains)).rows[0]["model"] == "1x"


def test_numbers_and_flags_are_written_in_full():
    row = cells(pfs_id="R-1", pfs_f_rental=Decimal("1E+3"), pfs_other=True)
    assert decode_page(answer([row]), MAP).rows == [
        {"pfaId": "R-1", "monthlyRate": "1000", "pfs_other": "true"}
    ]


def test_an_alias_called_like_a_mapped_field_does_not_take_its_place():
    row = cells(pfs_f_rental="1", monthlyRate="2")
    assert decode_page(answer([row]), MAP).rows == [{"monthlyRate": "1", "grid:monthlyRate": "2"}]


@pytest.mark.parametrize("alias", ["PFS_F_RENTAL", "pfs f rental", "Pfs_F_Rental"])
def test_an_alias_is_found_in_any_spelling(alias):
    row = {"CELL": [{"ALIAS_NAME": "pfs_id", "VALUE": "R-1"}, {"ALIAS_NAME": alias, "VALUE": "1"}]}
    assert decode_page(answer([row]), MAP).rows == [{"pfaId": "R-1", "monthlyRate": "1"}]


@pytest.mark.parametrize(
    "names", [("Pfs_f_rental", "PFS_F_RENTAL"), ("pfs_f_rental", "pfs_f_rental"), ("x", "x")]
)
def test_a_column_twice_in_a_row_is_refused_by_name(names):
    found = [{"ALIAS_NAME": name, "VALUE": "1"} for name in ("pfs_id", *names)]
    both = " and ".join(map(repr, names))
    with pytest.raises(InvalidData, match=f"column twice in a row, {both}"):
        decode_page(answer([{"CELL": found}]), MAP)


@pytest.mark.parametrize("other", ["PFS_F_RENTAL", "pfs_f_ren_tal", "pfs f rental"])
@pytest.mark.parametrize("first", [True, False])
def test_a_column_spelt_like_an_alias_keeps_its_name_beside_it(other, first):
    values = {"pfs_id": "R-1", "pfs_f_rental": "1", other: "2"}
    named = values if first else dict(reversed(values.items()))
    chains = {"monthlyRate": Chain((read_step({"multiply": 2}),))}
    found = decode_page(answer([cells(**named)]), FieldMap(MAP, chains)).rows
    assert found == [{"pfaId": "R-1", "monthlyRate": "2", other: "2"}]


def test_a_field_s_own_name_is_pfa_s_and_its_spelling_is_kept_beside_it():
    chains = {"monthlyRate": Chain((read_step({"multiply": 2}),))}
    rows = [
        cells(pfs_id="R-1", monthlyRate="1", monthly_rate="5", category="a", Category="b"),
        cells(pfs_id="R-2", monthly_rate="1", Category="b"),
        cells(pfs_id="R-3", pfs_f_rental="1", monthly_rate="5"),
    ]
    assert decode_page(answer(rows), FieldMap(MAP, chains)).rows == [
        {
            "pfaId": "R-1",
            "monthlyRate": "1",
            "monthly_rate": "5",
            "category": "a",
            "Category": "b",
        },
        {"pfaId": "R-2", "monthlyRate": "1", "category": "b"},
        {"pfaId": "R-3", "monthlyRate": "2", "grid:monthly_rate": "5"},
    ]


def test_the_organization_gets_pfa_s_code():
    names = PemsNames(FieldMap(), "RIO-P", "RIO")
    rows = [cells(pfs_id=code, pfs_a_org=code) for code in ("RIO-P", "RIO", "LNG")]
    decoder = RowDecoder(names.field_map, names.organization_of)
    found = {row["pfaId"]: row["organization"] for row in decode_page(answer(rows), decoder).rows}
    assert found == {"RIO-P": "RIO", "RIO": "RIO of PEMS", "LNG": "LNG"}
    assert decoder.carried == {"pfaId", "organization"}
