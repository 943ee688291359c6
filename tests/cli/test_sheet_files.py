"""Files of `pfa list --to` and workbooks in pipes: what is in them, and what happens to those that were there."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from pfa_core import exact_json
from tests.cli.conftest import baseline_record
from tests.cli.test_masking import CANARY, priced, vic
from tests.cli.test_sheets import drafts, edit, export, pull, ready, save, table
from tests.program import Pfa, Ran
from tests.terminals import on_terminal

__all__ = ["priced", "ready", "vic"]  # the fixtures

FORMULAS = {"model": "=1+1", "manufacturer": "@SUM(A1)", "equipment": "-2+3+cmd|' /C calc'!A0"}


def parts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.parametrize("name", ["all.xlsx", "all.csv"])
def test_no_text_goes_out_as_a_formula_and_each_comes_back_as_it_was(ready: Pfa, name: str) -> None:
    pull(ready, baseline_record(1, **FORMULAS))
    path = export(ready, name)
    rows = table(path)
    first = next(row for row in rows if row[0] == "H-001")
    cells = [first[rows[0].index(column)] for column in FORMULAS]
    if name == "all.xlsx":
        assert cells == [*FORMULAS.values()]
        assert "<f>" not in parts(path)["xl/worksheets/sheet1.xml"]
    else:
        assert cells == [f"'{text}" for text in FORMULAS.values()]
    assert len(save(ready, path)["unchanged"]) == 6


def test_a_workbook_is_made_to_be_edited(ready: Pfa) -> None:
    path = export(ready, "all.xlsx", "--columns", "pfaId,originalStart,monthlyRate,forecastEnd,dor")
    sheet, styles = (parts(path)[f"xl/{name}.xml"] for name in ("worksheets/sheet1", "styles"))
    assert '<pane xSplit="1" ySplit="1" topLeftCell="B2"' in sheet
    assert '<autoFilter ref="A1:F7"/>' in sheet
    assert re.search(r'<col min="6" max="6" [^>]*hidden="1"', sheet)
    assert '<formula1>"BEO,PROJECT"</formula1>' in sheet
    assert "#,##0.00" in styles
    assert 'formatCode="yyyy\\-mm\\-dd"' in styles or 'formatCode="yyyy-mm-dd"' in styles
    looks = re.findall(r'<c r="([A-E])2" s="(\d+)"', sheet)
    by_column = dict(looks)
    formats = re.findall(r"<xf [^>]*?(?:/>|>.*?</xf>)", styles.partition("<cellXfs")[2])
    unlocked = [column for column, look in by_column.items() if 'locked="0"' in formats[int(look)]]
    assert unlocked == ["C", "D", "E"]
    filled = [
        column
        for column, look in by_column.items()
        if re.search('fillId="[1-9]', formats[int(look)])
    ]
    assert filled == ["A", "B"]
    widths = re.findall(r'<col min="\d+" max="\d+" width="([\d.]+)"', sheet)
    assert all(float(width) > 8 for width in widths)


def test_dates_numbers_and_flags_are_values_of_their_kinds(ready: Pfa) -> None:
    path = export(ready, "all.xlsx", "--columns", "pfaId,monthlyRate,forecastEnd,isActualized")
    (_, first, *_) = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert [type(cell).__name__ for cell in first[:4]] == ["str", "float", "date", "bool"]


def test_days_and_texts_that_a_workbook_cannot_have_come_back_as_they_were(ready: Pfa) -> None:
    odd = {
        "forecastStart": "1899-12-31",
        "forecastEnd": "9999-12-31",
        "equipment": "a\r\nb\x0bc\ufffe",
    }
    pull(ready, baseline_record(1, **odd, monthlyRate=exact_json.loads("999999999999999.123456")))
    for name in ("all.xlsx", "all.csv", "all.tsv"):
        assert len(save(ready, export(ready, name))["unchanged"]) == 6


def test_a_text_that_is_too_long_for_a_cell_is_refused_and_the_old_file_stays(ready: Pfa) -> None:
    path = export(ready, "all.xlsx")
    old = path.read_bytes()
    pull(ready, baseline_record(1, equipment="x" * 40_000))
    ran = ready("list", "--to", str(path))
    assert (ran.code, "a cell takes 32,767" in ran.err) == (9, True)
    assert path.read_bytes() == old
    assert len(save(ready, export(ready, "all.csv"))["unchanged"]) == 6


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_a_full_disk_and_a_bad_name_say_so_and_change_nothing(ready: Pfa, name: str) -> None:
    full = ready.folder / name
    full.symlink_to("/dev/full")
    ran = ready("list", "--to", str(full))
    assert (ran.code, "No space left" in ran.err) == (74, True)
    assert Path("/dev/full").is_char_device()
    ran = ready("list", "--to", str(ready.folder / "none" / name))
    assert (ran.code, "[IO_ERROR]" in ran.err) == (74, True)


def test_a_format_is_that_of_the_name_or_of_the_option(ready: Pfa) -> None:
    folder = ready.folder
    for name, hint in (("a.ods", "end with .xlsx"), ("a", "end with .xlsx"), ("-", "-o xlsx")):
        ran = ready("list", "--to", str(folder / name) if name != "-" else name)
        assert (ran.code, hint in ran.err) == (2, True), ran.err
    assert ready("list", "--to", str(folder / "a.txt"), "-o", "csv").code == 0
    assert (folder / "a.txt").read_bytes().startswith(b"\xef\xbb\xbfpfaId,")
    assert ready("list", "--to", str(folder / "a.csv"), "-o", "json").code == 2
    assert ready("list", "--to", str(folder / "a.csv"), "--page", "2").code == 2
    assert ready("list", "--to", str(folder / "a.jsonl"), "--columns", "pfaId").code == 2


def test_lines_are_those_of_the_list(ready: Pfa) -> None:
    path = export(ready, "a.jsonl", "--limit", "3")
    assert path.read_text() == ready("list", "-o", "jsonl", "--limit", "3").out
    found = save(ready, path)
    assert len(found["unchanged"]) == 3


def test_filters_order_and_drafts_are_those_of_the_list(ready: Pfa) -> None:
    ready("draft", "set", "H-002", "monthlyRate=1", "--session", "s")
    path = export(ready, "a.csv", "--category", "Crane", "--sort", "-pfaId", "--limit", "2")
    rows = table(path)
    assert [row[0] for row in rows[1:]] == ["H-006", "H-004"]
    path = export(ready, "b.csv", "--changed", "--columns", "monthlyRate,version,modifiedBy")
    assert [row[:3] for row in table(path)[1:]] == [["H-002", "1", "1"]]


def test_parquet_has_exact_decimals_days_and_flags(ready: Pfa) -> None:
    import pyarrow.parquet as parquet

    pull(ready, baseline_record(1, monthlyRate=exact_json.loads("123.456789012345")))
    read = parquet.read_table(export(ready, "a.parquet", "--sort", "pfaId"))
    kinds = {field.name: str(field.type) for field in read.schema}
    assert [kinds[name] for name in ("monthlyRate", "forecastEnd", "isActualized", "version")] == [
        "decimal128(27, 12)",
        "date32[day]",
        "bool",
        "int64",
    ]
    first = read.to_pylist()[0]
    assert str(first["monthlyRate"]) == "123.456789012345"
    assert (first["forecastEnd"].isoformat(), first["pfaId"]) == ("2026-03-01", "H-001")
    assert "pfa.seen" not in kinds


@pytest.mark.long
def test_a_pipe_gets_a_workbook_and_a_terminal_a_hint(ready: Pfa) -> None:
    words = [sys.executable, "-m", "pfa_cli"]
    env = dict(os.environ)
    out = subprocess.run([*words, "list", "-o", "xlsx"], capture_output=True, env=env, check=True)
    book = CalamineWorkbook.from_filelike(io.BytesIO(out.stdout))
    rows = book.get_sheet_by_index(0).to_python()
    assert (len(rows), rows[0][-1]) == (7, "pfa.seen")
    saved = subprocess.run(
        [*words, "draft", "save", "-", "--format", "xlsx"],
        input=out.stdout,
        capture_output=True,
        env=env,
        check=True,
    )
    assert b"nothing to save" in saved.stderr
    groups = subprocess.run(
        [*words, "stats", "--by", "category", "-o", "xlsx"],
        capture_output=True,
        env=env,
        check=True,
    )
    rows = (
        CalamineWorkbook.from_filelike(io.BytesIO(groups.stdout)).get_sheet_by_index(0).to_python()
    )
    assert [row[0] for row in rows[1:]] == ["Crane", "Loader"]
    screen = on_terminal("list", "-o", "xlsx")
    assert (screen.code, "a workbook is not for a terminal" in screen.text) == (2, True)


@pytest.mark.variants(2)
@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.tsv", "a.parquet", "a.jsonl"])
def test_who_may_not_see_money_gets_a_sheet_without_it(
    priced: Pfa, vic: Callable[..., Ran], name: str
) -> None:
    path = priced.folder / name
    ran = vic("list", "--to", str(path))
    assert ran.code == 0
    assert "money requires the right view_financials" in ran.err
    content: Any = parts(path) if name == "a.xlsx" else path.read_bytes()
    assert CANARY not in (content["xl/worksheets/sheet1.xml"] if name == "a.xlsx" else str(content))
    if name == "a.parquet":
        import pyarrow.parquet as parquet

        assert "monthlyRate" not in parquet.read_schema(path).names
        return
    if name == "a.jsonl":
        return  # its lines have a field that no draft may have
    before = vic("draft", "list", "-o", "jsonl").out
    assert vic("draft", "save", str(path)).code == 0
    assert vic("draft", "list", "-o", "jsonl").out == before
    if name in ("a.xlsx", "a.csv"):
        assert vic("draft", "save", str(edit(path, {("H-005", "model"): "LX"}))).code == 0
        assert "H-005" in vic("draft", "list", "--id", "H-005", "-o", "ids").out


def test_columns_of_unknown_meaning_are_left_out_with_money(
    priced: Pfa, vic: Callable[..., Ran]
) -> None:
    path = priced.folder / "a.csv"
    words = ("list", "--columns", "data.freight,monthlyRate,model", "--to", str(path))
    assert vic(*words).code == 0
    assert table(path)[0] == ["pfaId", "model", "pfa.seen"]
    assert priced(*words).code == 0
    assert table(path)[0] == ["pfaId", "data.freight", "monthlyRate", "model", "pfa.seen"]


def test_a_price_of_another_s_sheet_is_not_saved_by_who_may_not_see_it(
    priced: Pfa, vic: Callable[..., Ran]
) -> None:
    path = priced.folder / "a.xlsx"
    assert priced("list", "--to", str(path)).code == 0
    assert vic("draft", "save", str(path)).code == 0
    ran = vic("draft", "save", str(edit(path, {("H-006", "monthlyRate"): 5})))
    assert (ran.code, CANARY in ran.out + ran.err) == (5, False)


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("xlsxwriter", "xlsx", ("list", "--to", "a.xlsx")),
        ("xlsxwriter", "xlsx", ("list", "-o", "xlsx")),
        ("pyarrow", "parquet", ("list", "--to", "a.parquet")),
        ("python_calamine", "xlsx", ("draft", "save", "b.xlsx")),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, module: str, extra: str, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(ready.folder)
    export(ready, "b.xlsx")
    monkeypatch.setitem(sys.modules, module, None)
    ran = ready(*words)
    assert ran.code == 78
    assert f"hint: type: pip install 'pfa[{extra}]'" in ran.err
    assert not Path("a.xlsx").exists()
    assert drafts(ready) == {}


@pytest.mark.long
def test_what_is_not_used_is_not_imported(ready: Pfa) -> None:
    code = (
        "import sys\nfrom pfa_cli.app import main\nmain(sys.argv[1:])\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    env = dict(os.environ)

    def modules(*words: str) -> set[str]:
        ran = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            env=env,
            text=True,
            check=True,
        )
        return set(ran.stderr.splitlines()[-1].split())

    packages = {"xlsxwriter", "python_calamine", "pyarrow"}
    (ready.folder / "d.csv").write_text("pfaId,model\nH-001,A\n")
    assert not packages & modules("list")
    assert not packages & modules("draft", "save", str(ready.folder / "d.csv"), "-n")
    assert packages & modules("list", "--to", str(ready.folder / "a.csv")) == set()
    assert packages & modules("list", "--to", str(ready.folder / "a.xlsx")) == {"xlsxwriter"}


@pytest.mark.long
def test_a_list_goes_into_a_pipe_that_has_a_name(ready: Pfa) -> None:
    """As of `>(command)` in bash, and /dev/stdout before a pipe."""
    words = (sys.executable, "-m", "pfa_cli", "list", "--to", "/dev/stdout", "-o", "csv")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    header, *rows = done.stdout.removeprefix("\ufeff").splitlines()
    assert header.startswith("pfaId,")
    assert sorted(row.split(",")[0] for row in rows) == [f"H-00{number}" for number in range(1, 7)]
    assert done.stderr == "6 records written to /dev/stdout\n"
