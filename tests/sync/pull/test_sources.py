"""One way in: the same rows of PEMS give the same records, whatever source they come from."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pfa_core
from pfa_cli.render.escape import tsv_field
from pfa_core import exact_json
from pfa_core.errors import InvalidData
from pfa_core.model.record import FIELDS, Kind
from pfa_core.pems.mapping.field_map import DEFAULT_FIELDS, FieldMap, load_field_map
from pfa_core.pems.mapping.steps import Chain
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.pems.profile import PemsNames
from pfa_core.pems.services.grid import GridPage
from pfa_core.pems.services.grid_reader import open_reader
from pfa_core.sync.pull.file_rows import FileRows
from pfa_core.sync.pull.intake import Intake
from tests.factories import World, a_world, record
from tests.forms import EFFORT
from tests.pems.edge import http_answer, profile, speaking
from tests.pems.sandbox_client import Client
from tests.pems_server import a_pems_beside
from tests.worlds import built_once

Rows = Sequence[Mapping[str, str]]

WEEKLY = """
[fields]
pfs_id = "pfaId"
pfs_a_org = "organization"
PFS_F_RENTAL = "monthlyRate"
pfs_f_purchase = "purchasePrice"
pfs_f_category = "category"
pfs_f_source = "source"
pfs_f_actualized = "isActualized"
pfs_f_startdate = "forecastStart"
description = "description"
[transforms]
monthlyRate = { multiply = "4" }
forecastStart = { date_parse = "dd.MM.yyyy" }
isActualized = "equals_y"
model = { concat = { aliases = ["pfs_f_category", "make"], separator = "/" } }
areaSilo = "uppercase"
[defaults]
source = "Purchase"
purchasePrice = "7.50"
"""
OWN_NAMES = """
[fields]
pfaId = "pfaId"
organization = "organization"
monthlyRate = "monthlyRate"
[transforms]
monthlyRate = { divide = 2 }
"""


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FieldMap]:
    folder = tmp_path_factory.mktemp("maps")
    found = {"default": FieldMap()}
    for name, text in (("weekly", WEEKLY), ("own", OWN_NAMES)):
        path = folder / f"{name}.toml"
        path.write_text(text)
        found[name] = load_field_map(path)
    return found


# -- the same rows in every form ----------------------------------------------------------------


def grid(rows: Rows, *, typed: bool = False) -> bytes:
    cells = [
        [
            {"ALIAS_NAME": name, "VALUE": _typed(value) if typed else value}
            for name, value in row.items()
        ]
        for row in rows
    ]
    data = {"ROW": [{"CELL": row} for row in cells]}
    return exact_json.dumps({"Result": {"ResultData": {"GRID": {"DATA": data}}}}).encode()


def as_csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode()


def as_tsv(rows: Rows) -> bytes:
    lines = [rows[0].keys(), *(map(tsv_field, row.values()) for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines).encode()


def as_json(rows: Rows, *, typed: bool = False) -> bytes:
    return exact_json.dumps([_typed_row(row) if typed else dict(row) for row in rows]).encode()


def as_jsonl(rows: Rows, *, typed: bool = False) -> bytes:
    return b"\n".join(as_json([row], typed=typed)[1:-1] for row in rows)


def _typed_row(row: Mapping[str, str]) -> dict[str, Any]:
    return {name: _typed(value) for name, value in row.items()}


def _typed(text: str) -> Any:
    """A JSON value that a service writes for the text: a number, a flag, null."""
    if re.fullmatch(r"-?(0|[1-9]\d{0,20})(\.\d{1,9})?", text, re.ASCII) and text != "-0":
        return Decimal(text) if "." in text else int(text)
    return {"": None, "true": True, "false": False}.get(text, text)


FILES: Mapping[str, tuple[str, Callable[[Rows], bytes]]] = {
    "grid": ("grid.json", grid),
    "typed grid": ("grid.json", lambda rows: grid(rows, typed=True)),
    "csv": ("in.csv", as_csv),
    "tsv": ("in.tsv", as_tsv),
    "json": ("in.json", as_json),
    "typed json": ("in.json", lambda rows: as_json(rows, typed=True)),
    "jsonl": ("in.jsonl", as_jsonl),
    "typed jsonl": ("in.jsonl", lambda rows: as_jsonl(rows, typed=True)),
}

Outcome = tuple[dict[str, Any], list[tuple[str, ...]]]


def outcome(items: Iterator[tuple[str, str] | None], intake: Intake) -> Outcome:
    accepted = {item[0]: exact_json.loads(item[1]) for item in items if item}
    faults = [
        (fault.pfa_id, fault.field, str(fault.code), fault.message) for fault in intake.faults
    ]
    return accepted, [*faults, (str(intake.normalized),)]


def from_file(form: str, rows: Rows, names: PemsNames) -> Outcome:
    name, write = FILES[form]
    intake = Intake(names.organization_id)
    content = io.BytesIO(write(rows))
    return outcome(map(intake.take, FileRows(names=names).records(name, content)), intake)


class Live:
    """A PEMS that answers with the rows that it is given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.body = b""

    def read(self, rows: Rows, names: PemsNames) -> Outcome:
        self.body = grid(rows)
        known = replace(
            profile(self.url),
            field_map=names.field_map,
            organization=names.organization,
            organization_id=names.organization_id,
        )
        with open_reader(known) as reader:
            page = reader.page(0, 100)
        assert isinstance(page, GridPage), page
        intake = Intake(names.organization_id)
        return outcome(map(intake.take_row, page.rows, range(1, 101)), intake)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    found: list[Live] = []

    def talk(connection, _) -> None:
        connection.sendall(http_answer("200 OK", found[0].body, "Connection: close"))

    with speaking(talk) as url:
        found.append(Live(url))
        yield found[0]


# -- the law ------------------------------------------------------------------------------------

values = st.one_of(
    st.sampled_from(
        ["", " ", "null", "Y", "N", "true", "false", "100", "1200.50", "-1", "1e5", "RENTAL", "Lease",
         "2026-01-31", "2026-01-31 00:00:00", "31.01.2026", "Crane ", "Crane\u00a0", "e\u0301", "a\u200bb",
         "a\tb", 'q"\\', "a\r\nb", "x" * 201]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
)  # fmt: skip


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[str, list[dict[str, str]]]:
    which = draw(st.sampled_from(["default", "weekly", "own"]))
    if which == "own":
        columns = ["pfaId", "organization"]
        others = ["monthlyRate", "category", "isActualized", "make"]
    else:
        columns = ["pfs_id", "pfs_a_org"]
        others = sorted({*DEFAULT_FIELDS} - {*columns, "pfs_f_rental"})
        others += ["PFS_F_Rental", "make", "freight"]
        others += ["areaSilo"] if which == "weekly" else []
        others += ["monthlyRate", "Forecast_Start", "organization"]
    chosen = draw(st.lists(st.sampled_from(others), unique=True, max_size=8))
    # A field's own name beside its alias: a grid keeps both, a file is refused.
    for own, alias in (
        ("areaSilo", "pfs_f_area"),
        ("monthlyRate", "PFS_F_Rental"),
        ("Forecast_Start", "pfs_f_startdate"),
    ):
        if own in chosen and alias in chosen:
            chosen.remove(own)
    if "organization" in chosen and "pfs_a_org" in columns:
        columns.remove("pfs_a_org")
    ids = st.sampled_from(["R-1", "R-2 ", "e\u0301-3", "R\u200b4", "\u00a0R-1"])
    codes = st.sampled_from(["RIO", "RIO1", "RIO2"])
    found = [
        {
            columns[0]: draw(ids),
            **{name: draw(codes) for name in columns[1:]},
            **{
                name: draw(codes if name == "organization" else values)
                for name in chosen
                if name not in columns
            },
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    return which, found


@pytest.mark.slow
@settings(
    max_examples=50 * EFFORT,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(some_rows(), st.sampled_from(["RIO", "RIO1"]))
@example(("weekly", [{"pfs_id": "R-1", "pfs_a_org": "RIO1", "PFS_F_RENTAL": "100"}]), "RIO1")
@example(("weekly", [{"pfs_id": "R-1", "pfs_a_org": "RIO1", "monthlyRate": "100"}]), "RIO1")
@example(("weekly", [{"pfs_id": "R-1", "organization": "RIO", "Monthly_Rate": "100"}]), "RIO1")
def test_the_same_rows_give_the_same_records_from_every_source(maps, live, drawn, organization):
    which, rows = drawn
    names = PemsNames(maps[which], organization, "RIO")
    expected = live.read(rows, names)
    for form in FILES:
        assert from_file(form, rows, names) == expected, form


def test_the_map_of_the_issue_is_applied_everywhere(maps, live):
    rows = [
        {
            "pfs_id": "R-1",
            "pfs_a_org": "RIO1",
            "pfs_f_rental": "100",
            "pfs_f_startdate": "31.01.2026",
        },
        {"pfs_id": "R-2", "pfs_a_org": "RIO", "pfs_f_rental": "1", "pfs_f_startdate": ""},
    ]
    names = PemsNames(maps["weekly"], "RIO1", "RIO")
    for records, (fault, _) in (
        live.read(rows, names),
        *(from_file(form, rows, names) for form in FILES),
    ):
        read = records["R-1"]
        assert (read["monthlyRate"], read["source"], read["purchasePrice"]) == (
            400,
            "Purchase",
            Decimal("7.5"),
        )
        assert (read["forecastStart"], read["organization"]) == ("2026-01-31", "RIO")
        assert fault == ("R-2", "organization", "FOREIGN_ORGANIZATION", "belongs to 'RIO of PEMS'")


# -- pfa's own names ----------------------------------------------------------------------------


def rates(content: bytes, name: str, names: PemsNames) -> list[Any]:
    intake = Intake("RIO")
    items = FileRows(names=names).records(name, io.BytesIO(content))
    found = [exact_json.loads(item[1]) for item in map(intake.take, items) if item]
    assert not intake.faults
    return [(read["monthlyRate"], read["source"]) for read in found]


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl", "typed json"])
def test_a_value_under_pfa_s_name_is_in_pfa_s_units(maps, form):
    names = PemsNames(maps["weekly"], "RIO1", "RIO")
    name, write = FILES[form]
    own = {"pfaId": "R-1", "organization": "RIO", "monthlyRate": "100", "description": "x"}
    assert rates(write([own]), name, names) == [(100, "Rental")]
    assert rates(write([{"pfaId": "R-1", "monthly_rate": "100"}]), name, names) == [(100, "Rental")]
    mixed = {"pfaId": "R-1", "monthlyRate": "100", "pfs_f_category": "Crane"}
    assert rates(write([mixed]), name, names) == [(100, "Purchase")]
    theirs = {"pfaId": "R-1", "pfs_f_rental": "100", "Source": ""}
    assert rates(write([theirs]), name, names) == [(400, "Rental")]


def test_an_export_of_pfa_is_not_transformed_though_the_map_has_the_same_names(maps):
    names = PemsNames(maps["own"], "RIO", "RIO")
    assert rates(b"pfaId,monthlyRate\nR-1,100\n", "in.csv", names) == [(50, "Rental")]
    exported = b"pfaId,monthlyRate,hasPlan,hasActuals\nR-1,100,false,false\n"
    assert rates(exported, "in.csv", names) == [(100, "Rental")]
    line = b'{"pfaId":"R-1","monthlyRate":100,"hasPlan":false,"hasActuals":false}'
    assert rates(line, "in.jsonl", names) == [(100, "Rental")]


LIKE_FIELDS = [
    {"pfs_id": "pfaId", "monthly_rate": "monthlyRate"},
    {"pfs_id": "pfaId", "MONTHLY_RATE": "monthlyRate"},
    {"pfaid": "pfaId", "Monthly Rate": "monthlyRate"},
    {"PFA_ID": "pfaId", "monthly_rate": "monthlyRate", "has_plan": "hasPlan"},
]
SWAPPED = [
    {"pfs_id": "pfaId", "category": "class", "class": "category"},
    {"pfs_id": "pfaId", "purchasePrice": "monthlyRate", "monthlyRate": "purchasePrice"},
    {"pfaId": "pfaId", "hasPlan": "model", "hasActuals": "class", "category": "contract"},
    {name: name for name in FIELDS},
]
TIMES_4 = {"monthlyRate": Chain((read_step({"multiply": 4}),))}
EXPORTED = {"pfaId": "R-1", "monthlyRate": "100", "category": "a", "class": "b"}
MARKED = {**EXPORTED, "hasPlan": "false", "hasActuals": "false"}


@pytest.mark.parametrize("form", ["csv", "tsv", "typed json", "typed jsonl"])
@pytest.mark.parametrize("fields", LIKE_FIELDS)
def test_the_name_of_a_field_is_not_a_spelling_of_an_alias(fields, form):
    names = PemsNames(FieldMap(fields, TIMES_4), "RIO", "RIO")
    name, write = FILES[form]
    for row in (EXPORTED, MARKED):
        assert rates(write([row]), name, names) == [(100, "Rental")]
    key, rate, *_ = fields
    assert rates(write([{key: "R-1", rate: "100"}]), name, names) == [(400, "Rental")]


@pytest.mark.parametrize("form", ["csv", "tsv", "typed json", "typed jsonl"])
@pytest.mark.parametrize("fields", [*SWAPPED, *LIKE_FIELDS])
@pytest.mark.parametrize("has", ["hasPlan", "HAS_PLAN"])
def test_what_has_plan_and_actuals_is_an_export_before_any_alias(fields, form, has):
    names = PemsNames(FieldMap(fields, TIMES_4), "RIO", "RIO")
    row = {**EXPORTED, has: "false", "hasActuals": "false"}
    records, faults = from_file(form, [row], names)
    read = records["R-1"]
    assert (read["monthlyRate"], read["category"], read["class"]) == (100, "a", "b")
    assert faults == [("0",)]


def test_exchanged_names_are_exchanged_in_rows_of_pems():
    names = PemsNames(FieldMap(SWAPPED[0]), "RIO", "RIO")
    records, _ = from_file("csv", [{"pfs_id": "R-1", "category": "a", "class": "b"}], names)
    assert (records["R-1"]["category"], records["R-1"]["class"]) == ("b", "a")


def test_columns_of_pems_in_an_export_stay_what_they_are():
    more = {"PFS_F_RENTAL": "7", "pfs_f_rental": "8", "Category": "c", "curency": "d"}
    records, faults = from_file("csv", [{**MARKED, **more}], PemsNames(organization_id="RIO"))
    read = records["R-1"]
    assert (read["monthlyRate"], read["category"]) == (100, "a")
    assert {name: read[name] for name in more} == more
    assert faults == [("0",)]
    misspelt = {"montlyRate" if name == "monthlyRate" else name: MARKED[name] for name in MARKED}
    with pytest.raises(InvalidData, match="did you mean monthlyRate"):
        from_file("csv", [misspelt], PemsNames(organization_id="RIO"))


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "column", "reason"),
    [
        (
            "pfaId,pfs_f_category,category",
            "category",
            "is the category a second time, beside 'pfs_f_category'",
        ),
        ("pfaId,category,Category", "Category", "is the category a second time, beside 'category'"),
        ("pfs_id,PFS_ID,model", "PFS_ID", "is the pfaId a second time, beside 'pfs_id'"),
        ("pfaId,montlyRate,model", "montlyRate", "unknown field; did you mean monthlyRate?"),
        ("pfaId,Categorie,model", "Categorie", "unknown field; did you mean category?"),
    ],
)
def test_a_column_twice_or_misspelt_is_refused_by_name(header, column, reason):
    names = PemsNames(organization_id="RIO")
    table = f"{header}\nR-1,1,2\n".encode()
    with pytest.raises(InvalidData) as refused:
        list(FileRows(names=names).records("in.csv", io.BytesIO(table)))
    assert refused.value.message == f"in.csv: the column {column!r}: {reason}; nothing was stored"
    row = dict(zip(header.split(","), ["R-1", "1", "2"], strict=True))
    found, *_ = FileRows(names=names).records("in.jsonl", io.BytesIO(json.dumps(row).encode()))
    assert (found.field, found.code, found.message) == (column, "UNKNOWN_FIELD", reason)


@pytest.mark.parametrize(
    "column",
    ["MonthlyRate", "monthly_rate", "monthlyRate ", "Monthly Rate", "PFS_F_RENTAL", "pfs f rental"],
)
def test_spellings_of_a_column_are_understood(column):
    names = PemsNames(organization_id="RIO")
    assert rates(f"pfaId,{column}\nR-1,100\n".encode(), "in.csv", names) == [(100, "Rental")]
    row = json.dumps({"pfaId": "R-1", column: 100}).encode()
    assert rates(row, "in.jsonl", names) == [(100, "Rental")]


def test_a_column_that_is_like_a_field_beside_that_field_is_kept():
    names = PemsNames(organization_id="RIO")
    intake = Intake("RIO")
    table = io.BytesIO(b"pfaId,category,category2,rateUom\nR-1,a,b,week\n")
    found = [intake.take(item) for item in FileRows(names=names).records("in.csv", table)]
    assert found[0] is not None
    kept = exact_json.loads(found[0][1])
    assert (kept["category"], kept["category2"], kept["rateUom"]) == ("a", "b", "week")


@pytest.mark.parametrize("form", sorted(FILES))
def test_a_reader_says_which_fields_a_file_carried(maps, form):
    name, write = FILES[form]
    rows = [{"pfs_id": "R-1", "PFS_F_rental": "1", "make": "x", "pfs_a_org": "RIO"}]
    reader = FileRows(names=PemsNames(maps["weekly"], "RIO", "RIO"))
    list(reader.records(name, io.BytesIO(write(rows))))
    assert reader.carried == {name: {"pfaId", "monthlyRate", "organization"}}


# -- in the mirror ------------------------------------------------------------------------------


def _typed_field(name: str, value: str) -> Any:
    return _typed(value) if FIELDS[name].kind is Kind.MONEY else value


@built_once
def world(url: str) -> World:
    return a_world(url)


@pytest.mark.slow
def test_live_and_saved_rows_are_one_mirror(world: World, tmp_path: Path) -> None:
    aliases = DEFAULT_FIELDS
    path = tmp_path / "map.toml"
    named = "".join(f'{alias} = "{name}"\n' for alias, name in aliases.items())
    path.write_text(f'[fields]\n{named}[transforms]\nmonthlyRate = {{ multiply = "4" }}\n')
    held = [record("P-1", monthlyRate=100), record("P-2 ", category="Crane\u00a0", contract=None)]
    with a_pems_beside(world, *held) as far:
        far.profile = replace(far.profile, field_map=load_field_map(path))
        assert far.pull().normalized == 1
        expected = world.mirror()
        with Client(far.pems.url, "ORG") as client:
            saved = client.grid().json
    assert {pfa_id: held["monthlyRate"] for pfa_id, held in expected.items()} == {
        "P-1": 400,
        "P-2": 4000,
    }
    cells = [
        {cell["ALIAS_NAME"]: cell["VALUE"] for cell in row["CELL"]}
        for row in saved["Result"]["ResultData"]["GRID"]["DATA"]["ROW"]
    ]
    whole = [{alias: row.get(alias, "") for alias in aliases} for row in cells]
    for form, (name, write) in FILES.items():
        file = tmp_path / name
        file.write_bytes(write(whole))
        result = pfa_core.pull_files(world.db, world.principal(), [str(file)], field_map=path)
        assert (result.unchanged, result.updated, result.normalized) == (2, 0, 1), form
    assert world.mirror() == expected
