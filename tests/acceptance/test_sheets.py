"""Sheets of the sample project: what is edited is computed from its file, and read by other programs."""

from __future__ import annotations

import csv
import datetime
import io
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from pfa_core import exact_json
from pfa_core.model.record import FIELDS, MARKS
from tests.acceptance.conftest import Record
from tests.cli.test_sheets import rewrite
from tests.forms import forms, long
from tests.program import Pfa

EDITS = 120
CHOICES: dict[str, list[Any]] = {
    "monthlyRate": [Decimal("1234.5"), Decimal(99)],
    "purchasePrice": [Decimal("0.01")],
    "forecastEnd": ["2031-02-28"],
    "model": ["=A1", "00123", 'B "2", 1/2', "+5%"],
    "equipment": [" spare\nunit ", "-1"],
    "dor": ["BEO", "PROJECT"],
}


def plan(records: list[Record]) -> dict[str, dict[str, Any]]:
    """Edits that no rule refuses, at random but the same each time."""
    dice = random.Random(19)
    found: dict[str, dict[str, Any]] = {}
    for record in dice.sample(records, EDITS):
        name = dice.choice([*CHOICES])
        value = dice.choice(CHOICES[name])
        start = record["forecastStart"]
        if name == "forecastEnd" and start and start > value:
            continue
        found[record["pfaId"]] = {name: value}
    return found


def in_workbook(name: str, value: Any) -> Any:
    if name == "forecastEnd":
        return datetime.date.fromisoformat(value)
    return float(value) if isinstance(value, Decimal) else value


def in_csv(name: str, value: Any) -> str:
    """A text as a spreadsheet guards it; a number is not guarded."""
    text = str(value)
    return f"'{text}" if text[0] in "=+" else text


def typed(path: Path, edits: dict[str, dict[str, Any]]) -> None:
    """Edit the file with other programs than pfa."""
    if path.suffix == ".xlsx":
        rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
        write: Any = in_workbook
    else:
        text = path.read_bytes().decode("utf-8-sig")
        rows, write = list(csv.reader(io.StringIO(text, newline=""))), in_csv
    header = rows[0]
    for row in rows[1:]:
        for name, value in edits.get(row[0], {}).items():
            row[header.index(name)] = write(name, value)
    rewrite(path, rows)


def differing(edits: dict[str, dict[str, Any]], records: list[Record]) -> dict[str, dict[str, Any]]:
    known = {record["pfaId"]: record for record in records}
    return {
        pfa_id: given
        for pfa_id, given in edits.items()
        if any(known[pfa_id].get(name) != value for name, value in given.items())
    }


SOME = "Crane"  # a category, for the plain run
WAYS = [("some.xlsx", SOME), *long([("all.xlsx", ""), ("all.csv", ""), ("some.csv", SOME)])]


def chosen(records: list[Record], category: str) -> list[Record]:
    """The records of a category, by their keys; of none all."""
    some = [record for record in records if category in ("", record["category"])]
    return sorted(some, key=lambda record: record["pfaId"])


def filters(category: str) -> list[str]:
    return ["--category", category] if category else []


@pytest.mark.long
@pytest.mark.parametrize(("name", "category"), WAYS)
def test_of_all_rows_the_edited_cells_alone_become_drafts(
    pfa: Pfa, records: list[Record], name: str, category: str
) -> None:
    path, records = pfa.folder / name, chosen(records, category)
    assert pfa("list", "--to", str(path), *filters(category)).code == 0
    edits = plan(records)
    typed(path, edits)
    ran = pfa("draft", "save", str(path), "--session", "s", "-o", "json")
    assert ran.code == 0, ran.err
    expected = differing(edits, records)
    assert len(expected) > EDITS * 0.8
    lines = pfa("draft", "list", "-o", "jsonl").lines
    drafts = {item["pfaId"]: item["delta"] for item in map(exact_json.loads, lines)}
    assert drafts == expected
    assert len(ran.json["saved"]) + len(ran.json["unchanged"]) == len(records)
    again = pfa.folder / f"again-{name}"
    assert pfa("list", "--to", str(again), *filters(category)).code == 0
    ran = pfa("draft", "save", str(again), "-o", "json")
    assert (ran.code, len(ran.json["saved"]), ran.json["moved"]) == (0, len(expected), [])
    assert {item["status"] for item in ran.json["saved"]} == {"unchanged"}


@pytest.mark.slow
@forms(("category", "number"), short=(SOME, 0), long=("", 20_280))
def test_a_workbook_has_the_values_of_the_file(
    pfa: Pfa, records: list[Record], category: str, number: int
) -> None:
    path, some = pfa.folder / "all.xlsx", chosen(records, category)
    assert pfa("list", "--to", str(path), "--sort", "pfaId", *filters(category)).code == 0
    header, *rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert header == [*FIELDS, *MARKS, "pfa.seen"]
    assert len(rows) == len(some) >= max(number, 100)
    for record, row in zip(some, rows, strict=True):
        for name, cell in zip(FIELDS, row, strict=False):
            value = record.get(name)
            shown = cell.isoformat() if isinstance(cell, datetime.date) else cell
            if isinstance(value, Decimal | int) and not isinstance(value, bool):
                value = float(value)
            assert shown == ("" if value is None else value), (record["pfaId"], name)


@pytest.mark.long
def test_parquet_has_the_exact_values_of_the_file(pfa: Pfa, records: list[Record]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = pfa.folder / "all.parquet"
    assert pfa("list", "--to", str(path), "--sort", "pfaId").code == 0
    table = parquet.read_table(path)
    by_id = sorted(records, key=lambda item: item["pfaId"])
    for name in ("pfaId", "monthlyRate", "purchasePrice", "isActualized", "model"):
        assert table.column(name).to_pylist() == [record.get(name) for record in by_id]
    days = [record["forecastEnd"] for record in by_id]
    found = table.column("forecastEnd").to_pylist()
    assert [day and day.isoformat() for day in found] == days
