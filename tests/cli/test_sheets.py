"""Sheets that go out, are edited and come back, through the real command line."""

from __future__ import annotations

import csv
import datetime
import io
import re
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from pfa_core import exact_json
from tests.cli.conftest import baseline_record, six_records
from tests.program import Pfa, a_stage

Cells = dict[tuple[str, str], Any]  # what is typed, by record and column


@a_stage
def ready(pfa: Pfa) -> None:
    """The organization HOLNG with the records H-001 to H-006."""
    six_records(pfa)


def export(pfa: Pfa, name: str, *more: str) -> Path:
    path = pfa.folder / name
    ran = pfa("list", "--to", str(path), *more)
    assert (ran.code, ran.out) == (0, ""), ran.err
    return path


def table(path: Path) -> list[list[Any]]:
    """The cells of a sheet, header first."""
    if path.suffix == ".xlsx":
        return CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".tsv":
        return [line.split("\t") for line in text.splitlines()]
    return list(csv.reader(io.StringIO(text, newline="")))


def rewrite(path: Path, rows: list[list[Any]]) -> None:
    """Write the cells back, as another program does."""
    if path.suffix == ".xlsx":
        book = xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet = book.add_worksheet("records")
        for number, row in enumerate(rows):
            for place, cell in enumerate(row):
                if isinstance(cell, datetime.date):
                    moment = datetime.datetime.combine(cell, datetime.time())
                    sheet.write_datetime(number, place, moment, day)
                elif isinstance(cell, str):
                    sheet.write_string(number, place, cell)
                else:
                    sheet.write(number, place, cell)
        book.close()
    elif path.suffix == ".tsv":
        path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    else:
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        path.write_text(out.getvalue())


def edit(path: Path, cells: Cells) -> Path:
    rows = table(path)
    header = rows[0]
    for row in rows[1:]:
        for place, name in enumerate(header):
            if (row[0], name) in cells:
                row[place] = cells[row[0], name]
    rewrite(path, rows)
    return path


def save(pfa: Pfa, path: Path, *more: str) -> dict[str, Any]:
    ran = pfa("draft", "save", str(path), "-o", "json", "--session", "s", "--debug", *more)
    assert ran.code == 0, ran.err
    return ran.json


def drafts(pfa: Pfa) -> dict[str, dict[str, Any]]:
    lines = pfa("draft", "list", "-o", "jsonl").lines
    return {item["pfaId"]: item["delta"] for item in map(exact_json.loads, lines)}


def pull(pfa: Pfa, *changed: dict[str, Any]) -> None:
    path = pfa.folder / "more.jsonl"
    path.write_text("".join(f"{exact_json.dumps(record)}\n" for record in changed))
    assert pfa("sync", "pull", "--from", str(path)).code == 0


NAMES = ("all.xlsx", "all.csv", "all.tsv")
each_format = pytest.mark.parametrize("name", NAMES)


@each_format
def test_a_sheet_that_comes_back_as_it_left_changes_nothing(ready: Pfa, name: str) -> None:
    path = export(ready, name)
    found = save(ready, path)
    assert (found["saved"], found["moved"], len(found["unchanged"])) == ([], [], 6)
    assert drafts(ready) == {}


@each_format
def test_edited_cells_alone_become_drafts(ready: Pfa, name: str) -> None:
    day = datetime.date(2026, 12, 24) if name.endswith("xlsx") else "2026-12-24"
    path = edit(
        export(ready, name),
        {("H-002", "monthlyRate"): 4000.5, ("H-003", "forecastEnd"): day, ("H-003", "model"): "LX"},
    )
    found = save(ready, path)
    assert [item["pfaId"] for item in found["saved"]] == ["H-002", "H-003"]
    assert len(found["unchanged"]) == 4
    rate = exact_json.loads("4000.5")
    assert drafts(ready) == {
        "H-002": {"monthlyRate": rate},
        "H-003": {"forecastEnd": "2026-12-24", "model": "LX"},
    }


@each_format
def test_a_cell_that_was_not_edited_is_no_draft_although_pems_moved(ready: Pfa, name: str) -> None:
    path = edit(export(ready, name), {("H-002", "model"): "LX"})
    pull(ready, baseline_record(2, monthlyRate=9), baseline_record(4, description="other"))
    found = save(ready, path)
    assert drafts(ready) == {"H-002": {"model": "LX"}}
    assert found["moved"] == ["H-002", "H-004"]
    assert ready("commit").code == 0


@each_format
def test_an_edit_of_what_pems_changed_since_is_a_conflict_at_the_commit(
    ready: Pfa, name: str
) -> None:
    path = edit(export(ready, name), {("H-002", "monthlyRate"): 5000})
    pull(ready, baseline_record(2, monthlyRate=4000))
    ran = ready("draft", "save", str(path))
    assert "PEMS has changed 1 record since the sheet was written: H-002" in ran.err
    ran = ready("commit")
    assert ran.code == 7
    assert "was 3044, PEMS has 4000 now, your draft has 5000" in ran.err


def test_so_it_is_where_a_draft_over_the_new_value_of_another_field_was_there(ready: Pfa) -> None:
    path = edit(export(ready, "all.xlsx"), {("H-002", "monthlyRate"): 5000})
    pull(ready, baseline_record(2, monthlyRate=4000))
    assert ready("draft", "set", "H-002", "model=LX", "--session", "s").code == 0
    save(ready, path)
    ran = ready("commit")
    assert (ran.code, "PEMS has 4000 now" in ran.err) == (7, True)


# --- What may be edited, and what is said of it


def refused(pfa: Pfa, path: Path, *more: str) -> tuple[int, str]:
    ran = pfa("draft", "save", str(path), "--session", "s", *more)
    assert drafts(pfa) == {}
    return ran.code, ran.err


@each_format
def test_an_emptied_cell_clears_and_an_empty_one_does_not(ready: Pfa, name: str) -> None:
    path = edit(export(ready, name), {("H-001", "forecastEnd"): "", ("H-002", "equipment"): ""})
    save(ready, path)
    assert drafts(ready) == {"H-001": {"forecastEnd": None}}


@each_format
def test_faults_are_named_by_their_cells(ready: Pfa, name: str) -> None:
    path = edit(
        export(ready, name, "--columns", "pfaId,monthlyRate,dor,originalStart,isActualized"),
        {
            ("H-001", "monthlyRate"): "much",
            ("H-002", "dor"): "",
            ("H-003", "originalStart"): "2026-05-05",
            ("H-004", "isActualized"): "",
        },
    )
    code, said = refused(ready, path)
    assert code == 9
    assert re.findall(r"\(([A-Z]+\d+)\) \[", said) == ["B2", "C3", "D4", "E5"]


def test_only_some_columns_may_go_out(ready: Pfa) -> None:
    path = export(ready, "some.xlsx", "--columns", "model,monthlyRate,syncState")
    assert table(path)[0] == ["pfaId", "model", "monthlyRate", "syncState", "pfa.seen"]
    save(ready, edit(path, {("H-001", "model"): "LX"}))
    assert drafts(ready) == {"H-001": {"model": "LX"}}


def test_a_column_that_is_added_is_taken_as_in_a_list(ready: Pfa) -> None:
    path = export(ready, "some.csv", "--columns", "pfaId,model")
    rows = table(path)
    rewrite(
        path,
        [
            [*row, "manufacturer" if not number else "Liebherr" if number == 1 else ""]
            for number, row in enumerate(rows)
        ],
    )
    save(ready, path)
    assert drafts(ready) == {"H-001": {"manufacturer": "Liebherr"}}


@each_format
def test_rows_may_be_sorted_left_out_and_added(ready: Pfa, name: str) -> None:
    path = edit(export(ready, name), {("H-002", "model"): "A", ("H-005", "model"): "B"})
    header, *rows = table(path)
    rewrite(path, [header, *reversed(rows[1:])])
    found = save(ready, path)
    assert drafts(ready) == {"H-002": {"model": "A"}, "H-005": {"model": "B"}}
    assert len(found["unchanged"]) == 3


def test_a_row_that_was_sorted_apart_is_refused(ready: Pfa) -> None:
    path = export(ready, "all.xlsx")
    rows = table(path)
    rows[1][0], rows[2][0] = rows[2][0], rows[1][0]
    rewrite(path, rows)
    code, said = refused(ready, path)
    assert (code, "A2" in said, "the row was written for 'H-001'" in said) == (9, True, True)


def test_hidden_values_that_are_not_ours_are_refused(ready: Pfa) -> None:
    path = edit(export(ready, "all.csv"), {("H-001", "pfa.seen"): '{"pfaId":"H-001"}'})
    code, said = refused(ready, path)
    assert (code, "is not what pfa wrote there" in said) == (9, True)


def test_of_a_row_without_hidden_values_what_differs_is_saved(ready: Pfa) -> None:
    path = edit(export(ready, "all.csv"), {("H-001", "pfa.seen"): "", ("H-001", "model"): "LX"})
    found = save(ready, path)
    assert (drafts(ready), len(found["unchanged"])) == ({"H-001": {"model": "LX"}}, 5)


def test_what_the_user_changed_since_is_not_overwritten_unless_it_is_said(ready: Pfa) -> None:
    path = edit(export(ready, "all.xlsx"), {("H-002", "model"): "OLD"})
    assert ready("draft", "set", "H-002", "model=NEW", "dor=PROJECT", "--session", "s").code == 0
    ran = ready("draft", "save", str(path), "--session", "s")
    assert ran.code == 7
    assert "you have changed it since the sheet was written, to 'NEW'" in ran.err
    assert "--overwrite" in ran.err
    assert drafts(ready)["H-002"]["model"] == "NEW"
    save(ready, path, "--overwrite")
    assert drafts(ready)["H-002"] == {"model": "OLD", "dor": "PROJECT"}


def test_a_sheet_may_be_edited_further_and_saved_again(ready: Pfa) -> None:
    path = edit(export(ready, "all.xlsx"), {("H-002", "model"): "A"})
    save(ready, path)
    found = save(ready, edit(path, {("H-002", "dor"): "PROJECT", ("H-003", "model"): "B"}))
    assert drafts(ready) == {"H-002": {"model": "A", "dor": "PROJECT"}, "H-003": {"model": "B"}}
    assert [item["status"] for item in found["saved"]] == ["updated", "created"]


def test_drafts_in_a_sheet_are_edited_and_taken_back(ready: Pfa) -> None:
    ready("draft", "set", "H-001", "H-002", "monthlyRate=5000", "--session", "s")
    path = export(ready, "all.xlsx")
    assert save(ready, path)["unchanged"] == ["H-003", "H-004", "H-005", "H-006"]
    found = save(
        ready, edit(path, {("H-001", "monthlyRate"): 3044, ("H-002", "monthlyRate"): 6000})
    )
    assert found["emptied"] == ["H-001"]
    assert drafts(ready) == {"H-002": {"monthlyRate": 6000}}


def test_replace_is_refused_for_a_sheet(ready: Pfa) -> None:
    path = edit(export(ready, "all.csv"), {("H-002", "model"): "A"})
    code, said = refused(ready, path, "--replace")
    assert (code, "--replace is not for a sheet that pfa wrote" in said) == (2, True)


# --- The notation of a country


def test_a_sheet_that_a_german_program_saved_again_is_no_change(ready: Pfa) -> None:
    pull(ready, baseline_record(2, monthlyRate=1234.5, description="Größe"))
    rows = table(export(ready, "all.csv"))
    header = rows[0]
    for row in rows[1:]:
        for place, name in enumerate(header):
            if name.endswith(("Start", "End")) and row[place]:
                row[place] = "/".join(reversed(row[place].split("-")))
            if name == "monthlyRate" and "." in row[place]:
                row[place] = "1.234,50"
    row = rows[3]
    row[header.index("monthlyRate")] = "4.000,25"
    row[header.index("forecastEnd")] = "01/02/2027"
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows)
    path = ready.folder / "deutsch.csv"
    path.write_bytes(out.getvalue().encode("cp1252"))
    code, said = refused(ready, path)
    assert (code, "add --dates dmy" in said or "--encoding cp1252" in said) == (9, True)
    code, said = refused(ready, path, "--encoding", "cp1252")
    assert code == 9
    assert "dates such as '01/02/2026'" in said.replace("\n  ", " "), said
    assert "hint: add --dates dmy" in said
    save(ready, path, "--encoding", "cp1252", "--dates", "dmy")
    rate = exact_json.loads("4000.25")
    assert drafts(ready) == {row[0]: {"monthlyRate": rate, "forecastEnd": "2027-02-01"}}


def test_a_text_file_of_a_spreadsheet_in_utf_16_is_read(ready: Pfa) -> None:
    path = edit(export(ready, "all.csv"), {("H-002", "model"): 'Größe "2"'})
    out = io.StringIO()
    csv.writer(out, delimiter="\t").writerows(table(path))
    text = ready.folder / "all.txt"
    text.write_bytes(out.getvalue().encode("utf-16"))
    save(ready, text)
    assert drafts(ready) == {"H-002": {"model": 'Größe "2"'}}


def test_a_table_between_tabs_that_a_spreadsheet_quoted_is_known_by_that(ready: Pfa) -> None:
    pull(ready, baseline_record(2, category='Trailer, 40" flat'))
    rows = table(export(ready, "all.csv"))
    out = io.StringIO()
    csv.writer(out, delimiter="\t").writerows(rows)
    path = ready.folder / "all.tsv"
    path.write_text(out.getvalue())
    assert len(save(ready, path)["unchanged"]) == 6


def test_all_that_is_in_doubt_is_said_at_once(ready: Pfa) -> None:
    path = ready.folder / "offer.csv"
    path.write_text(
        "pfaId;monthlyRate;forecastEnd\nH-001;1.234;03/04/2026\nH-002;1.235;03/04/2026\n"
    )
    code, said = refused(ready, path)
    assert code == 9
    assert "2 numbers such as '1.234' (line 2) can be read in two ways and 2 dates" in said
    assert "--decimal point or --decimal comma, and --dates dmy or --dates mdy" in said


@pytest.mark.parametrize(
    ("cell", "options", "hint"),
    [
        ("1.234", ("--separator", ";"), "add --decimal point or --decimal comma"),
        ("12,50 and 1.234", (), "add --decimal comma or --decimal point"),
    ],
)
def test_what_can_be_read_in_two_ways_says_what_to_add(
    ready: Pfa, cell: str, options: tuple[str, ...], hint: str
) -> None:
    separator = options[1] if options else ","
    lines = [
        f'H-00{number}{separator}"{text}"' for number, text in enumerate(cell.split(" and "), 1)
    ]
    path = ready.folder / "offer.csv"
    path.write_text("\n".join([f"pfaId{separator}monthlyRate", *lines, ""]))
    code, said = refused(ready, path, *options)
    assert (code, f"hint: {hint}" in said) == (9, True), said
    save(ready, path, *options, "--decimal", ",")
    assert drafts(ready)["H-001"] == {
        "monthlyRate": 1234 if cell == "1.234" else exact_json.loads("12.50")
    }
