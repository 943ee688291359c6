"""Workbooks from anywhere: what is read, and what is refused."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from pfa_core.errors import ConfigInvalid, InvalidData
from pfa_core.files.deltas import DeltaFile, read_delta_file
from pfa_core.files.sheets import workbook_parts
from pfa_core.model.notation import Notation

Fill = Callable[[Any, Any], None]  # of a book and its first sheet
TYPE = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def book(path: Path, fill: Fill) -> Path:
    made = xlsxwriter.Workbook(path)
    fill(made, made.add_worksheet("records"))
    made.close()
    return path


def rows(*lines: list[Any]) -> Fill:
    def fill(made: Any, sheet: Any) -> None:
        day = made.add_format({"num_format": "yyyy-mm-dd"})
        for number, line in enumerate(lines):
            for place, cell in enumerate(line):
                is_day = isinstance(cell, datetime.date)
                sheet.write(number, place, cell, day if is_day else None)

    return fill


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Fill], str]:
    return lambda fill: str(book(tmp_path / "a.xlsx", fill))


def read(path: str, **notation: str) -> DeltaFile:
    return read_delta_file(path, notation=Notation(**notation))


def faults(found: DeltaFile) -> list[tuple[str, str, str]]:
    return [(fault.position, fault.field, fault.message) for fault in found.faults]


HEADER = ["pfaId", "monthlyRate", "forecastEnd", "model", "isActualized"]


def test_a_workbook_of_one_s_own_is_a_list_of_changes(made):
    day = datetime.date(2026, 12, 24)
    found = read(
        made(rows(HEADER, ["P-1", 5500.5, day, 320, True], ["P-2", 7, "", "", ""], ["P-3", 0.1]))
    )
    assert [(item.pfa_id, item.delta, item.place("model")) for item in found.changes] == [
        (
            "P-1",
            {
                "monthlyRate": Decimal("5500.5"),
                "forecastEnd": "2026-12-24",
                "model": "320",
                "isActualized": True,
            },
            "D2",
        ),
        ("P-2", {"monthlyRate": 7}, "D3"),
        ("P-3", {"monthlyRate": Decimal("0.1")}, "D4"),
    ]
    assert found.faults == ()


def test_a_workbook_is_known_by_its_content_in_a_pipe_too(made):
    content = Path(made(rows(HEADER, ["P-1", 5]))).read_bytes()
    for file_format in ("auto", "xlsx"):
        found = read_delta_file("-", file_format, stdin=io.BytesIO(content))
        assert [item.delta for item in found.changes] == [{"monthlyRate": 5}]


def test_a_formula_counts_as_the_value_it_had(made):
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, ["P-1"])
        sheet.write_formula("B2", "=1200*1.05*10", None, 12600.000000000002)
        sheet.write_formula("D2", "=A2", None, "=A2")

    (change,) = read(made(fill)).changes
    assert change.delta == {"monthlyRate": 12600, "model": "=A2"}


def test_an_error_and_a_formula_without_a_value_are_faults_of_their_cells(made, tmp_path):
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        for row in (1, 2, 3):
            sheet.write(row, 0, f"P-{row}")
        sheet.write_formula("B2", "=1/0", None, "#DIV/0!")
        sheet.write_formula("C3", "=NA()", None, "#N/A")
        sheet.write_formula("B4", "=A1", None, 4711)

    path = altered(made(fill), "xl/worksheets/sheet1.xml", b"<v>4711</v>", b"")
    found = read(path)
    assert faults(found) == [
        ("B2", "monthlyRate", "holds the error #DIV/0!"),
        ("C3", "forecastEnd", "holds the error #N/A"),
        (
            "B4",
            "monthlyRate",
            "holds a formula without a value: open the workbook, and save it again",
        ),
    ]
    assert not found.changes


def test_hidden_rows_and_columns_are_read_and_leading_empty_ones_passed_over(made):
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(2, 1, HEADER)
        sheet.write_row(4, 1, ["P-1", 5])
        sheet.write_row(5, 1, ["P-2", 6])
        sheet.set_row(4, None, None, {"hidden": True})
        sheet.set_column(2, 2, None, None, {"hidden": True})

    found = read(made(fill))
    placed = [(item.pfa_id, item.delta, item.place("monthlyRate")) for item in found.changes]
    assert placed == [("P-1", {"monthlyRate": 5}, "C5"), ("P-2", {"monthlyRate": 6}, "C6")]
    assert (found.empty_rows, found.empty_columns) == (3, 1)


def test_merged_cells_are_refused_by_their_place(made):
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_column(1, 0, ["P-1", "P-2"])
        sheet.merge_range("B2:B3", 5)

    with pytest.raises(InvalidData, match="the cells B2:B3 are merged") as refused:
        read(made(fill))
    assert "split them" in refused.value.hint


def test_of_several_sheets_the_one_with_records_is_read_or_the_one_that_is_named(made):
    def notes(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["some", "notes"])
        second = book.add_worksheet("mine")
        second.write_row(0, 0, HEADER)
        second.write_row(1, 0, ["P-1", 5])

    assert read(made(notes)).changes[0].delta == {"monthlyRate": 5}
    with pytest.raises(InvalidData, match="must name pfaId"):
        read(made(notes), sheet="records")
    with pytest.raises(InvalidData, match="has no sheet 'mine2'; did you mean mine"):
        read(made(notes), sheet="mine2")

    def both(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, ["P-9", 9])
        notes(book, book.add_worksheet("notes"))

    with pytest.raises(InvalidData, match="has 2 sheets whose header names pfaId") as refused:
        read(made(both))
    assert "`sheet`" in refused.value.hint
    assert read(made(both), sheet="records").changes[0].pfa_id == "P-9"


def test_days_are_read_as_a_spreadsheet_counts_them(made):
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        for row, number in enumerate((46380, 46380.5, 60), 1):
            sheet.write_row(row, 0, [f"P-{row}", "", number])

    days = [item.delta["forecastEnd"] for item in read(made(fill)).changes]
    assert days == ["2026-12-24", "46380.5", "60"]  # the last two are no days, and become faults

    def of_a_mac(book: Any, sheet: Any) -> None:
        fill(book, sheet)
        book.date_1904 = True

    days = [item.delta["forecastEnd"] for item in read(made(of_a_mac)).changes]
    assert days[0] == "2030-12-25"


@pytest.mark.parametrize("text", ["1,234", "1.234"])
def test_numbers_that_are_texts_are_read_where_they_are_certain(made, text):
    with pytest.raises(InvalidData, match=rf"the number '{text}' \(B2\) can be read in two ways"):
        read(made(rows(HEADER, ["P-1", text])))
    assert read(made(rows(HEADER, ["P-1", "1.234,50"]))).changes[0].delta == {
        "monthlyRate": Decimal("1234.50")
    }
    found = read(made(rows(HEADER, ["P-1", text])), decimal="," if "." in text else ".")
    assert found.changes[0].delta == {"monthlyRate": 1234}


def altered(path: str, part: str, old: bytes, new: bytes) -> str:
    """Replace bytes in a part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts[part]
    parts[part] = parts[part].replace(old, new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "docProps/app.xml"]
)
@pytest.mark.parametrize("kind", [TYPE, OUTSIDE], ids=["entities", "outside"])
def test_a_document_type_is_refused_in_any_part(made, part, kind):
    path = made(rows(HEADER, ["P-1", 5]))
    altered(path, part, b'standalone="yes"?>', b'standalone="yes"?>' + kind)
    with pytest.raises(InvalidData, match="has a document type") as refused:
        read(path)
    assert "nothing was saved" in refused.value.message


def test_a_bomb_is_refused_while_it_is_unpacked(made):
    path = made(rows(HEADER, ["P-1", 5]))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", b"\0" * (9 << 20))
    with pytest.raises(InvalidData, match="more than 8,388,608 bytes, unpacked") as refused:
        read_delta_file(path, max_size=1 << 20)
    assert "`max_size`" in refused.value.hint
    assert read_delta_file(path, max_size=2 << 20).changes


def test_a_size_that_the_archive_lies_about_is_counted(made):
    path = Path(made(rows(HEADER, ["P-1", 5])))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", b"\0" * (9 << 20))
    content = path.read_bytes()
    lie = (9 << 20).to_bytes(4, "little")
    assert content.count(lie) >= 2
    path.write_bytes(content.replace(lie, (100).to_bytes(4, "little")))
    with pytest.raises(InvalidData, match=r"damaged|unpacked"):
        read_delta_file(str(path), max_size=1 << 20)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'encoding="UTF-8"', b'encoding="UTF-9"'),
        (b"<sheetData>", b"<sheetDat\xff>"),
        (b"</worksheet>", b""),
    ],
)
def test_a_sheet_that_is_no_xml_is_refused(made, good, bad):
    path = made(rows(HEADER, ["P-1", 5]))
    altered(path, "xl/worksheets/sheet1.xml", good, bad)
    with pytest.raises(InvalidData, match=r"damaged Excel workbook .*sheet1\.xml"):
        read_delta_file(path)


def test_a_part_that_begins_before_the_archive_is_refused(made):
    path = Path(made(rows(HEADER, ["P-1", 5])))
    content = bytearray(path.read_bytes())
    begin = content.rindex(b"PK\5\6")
    place = int.from_bytes(content[begin + 16 : begin + 20], "little")
    content[begin + 16 : begin + 20] = (place + 60).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InvalidData, match="damaged Excel workbook"):
        read_delta_file(str(path))


@pytest.mark.parametrize("last", ["XFD1048576", "A9999999", "ZZZZ1", "1A", "A-1"])
def test_a_sheet_of_huge_dimensions_is_refused(made, last):
    path = made(rows(HEADER, ["P-1", 5]))
    altered(path, "xl/worksheets/sheet1.xml", b'r="B2"', f'r="{last}"'.encode())
    with pytest.raises(InvalidData, match=r"sheet1\.xml has"):
        read(path)


def test_a_dimension_that_is_only_said_costs_nothing(made):
    path = made(rows(HEADER, ["P-1", 5]))
    altered(path, "xl/worksheets/sheet1.xml", b'ref="A1:E2"', b'ref="A1:XFD1048576"')
    assert read(path).changes[0].delta == {"monthlyRate": 5}


def test_an_archive_of_too_many_parts_is_refused(made, monkeypatch):
    monkeypatch.setattr(workbook_parts, "MAX_PARTS", 3)
    with pytest.raises(InvalidData, match="parts"):
        read(made(rows(HEADER, ["P-1", 5])))


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04xl/ and nothing else", b"PK\x03\x04" + b"\0" * 100],
)
def test_what_is_no_workbook_is_refused(tmp_path, content):
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match="nothing was saved"):
        read(str(path))


def test_an_archive_without_a_workbook_is_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    with pytest.raises(InvalidData, match="is a ZIP archive, not an Excel workbook"):
        read(str(path))


def test_without_the_package_the_hint_installs_it(made, monkeypatch):
    import sys

    path = made(rows(HEADER, ["P-1", 5]))
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ConfigInvalid, match="python_calamine is needed") as refused:
        read(path)
    assert refused.value.hint == "type: pip install 'pfa[xlsx]'"
    assert refused.value.exit_code == 78
