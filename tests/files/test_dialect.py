"""Tables as text: separators, leftovers of spreadsheets, other content."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_cli.render.escape import tsv_field
from pfa_core.errors import InvalidData
from pfa_core.files.dialect import Row, Table, refuse_foreign_content, table_format

HEADER = "pfaId,model"


def table(text: str, dialect: str = "csv", **rest) -> Table:
    return Table(io.StringIO(text, newline=""), "in.csv", dialect, **rest)


def rows(text: str, dialect: str = "csv", **rest) -> list[Row]:
    return list(table(text, dialect, **rest).rows())


def cells(text: str, dialect: str = "csv", **rest) -> list[tuple[str, ...]]:
    found = rows(text, dialect, **rest)
    assert not any(row.fault for row in found)
    return [tuple(row.cells) for row in found]


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return file.getvalue()


class TestLeftovers:
    def test_rows_without_a_value_are_passed_over_and_counted(self) -> None:
        found = table(f"\n{HEADER}\nP-1,a\n,\n\n ,\t\nP-2,b\n")
        assert [(row.line, *row.cells) for row in found.rows()] == [
            (3, "P-1", "a"),
            (7, "P-2", "b"),
        ]
        assert found.empty_rows == 4

    def test_columns_without_name_and_value_are_passed_over_and_counted(self) -> None:
        found = table("pfaId,,model, \nP-1,,a,\nP-2, ,b,\n")
        assert found.columns == ("pfaId", "model")
        assert [tuple(row.cells) for row in found.rows()] == [("P-1", "a"), ("P-2", "b")]
        assert found.empty_columns == 2

    def test_a_value_in_a_column_without_a_name_is_a_fault(self) -> None:
        one, two = rows("pfaId,,model\nP-1,x,a\nP-2,,b\n")
        assert (one.fault, two.fault) == ("has a value in column 2, which has no name", "")

    def test_empty_cells_after_the_last_column_are_no_fault_and_values_are(self) -> None:
        one, two, three = rows(f"{HEADER}\nP-1,a,,\nP-2,b,c\nP-3\n")
        assert (one.cells, one.fault) == (["P-1", "a"], "")
        assert two.fault == "has 3 cells, the header 2"
        assert three.fault == "has 1 cells, the header 2"

    def test_texts_for_nothing_are_empty_only_where_declared(self) -> None:
        text = f"{HEADER}\nP-1,NULL\nP-2,null \n"
        assert cells(text) == [("P-1", "NULL"), ("P-2", "null ")]
        assert cells(text, nulls=["NULL"]) == [("P-1", ""), ("P-2", "null ")]
        copied = "pfaId\tmodel\nP-1\t\\N\n"
        assert rows(copied, "tsv")[0].fault.startswith(r"has the unknown escape \N")
        assert cells(copied, "tsv", nulls=[r"\N"]) == [("P-1", "")]

    @pytest.mark.parametrize(
        "lines",
        [
            ["pfaId,model\rP-1,a\rP-2,b\r"],
            ["pfaId,model\rP-1,a\r\r\n", "P-2,b"],
            ["pfaId,model\n", "P-1,a\rP-2,b"],
        ],
    )
    def test_a_carriage_return_ends_a_line_of_a_csv(self, lines: list[str]) -> None:
        """As old spreadsheets save it, the file is one line to all who look for line feeds."""
        found = Table(lines, "in.csv")
        assert [tuple(row.cells) for row in found.rows()] == [("P-1", "a"), ("P-2", "b")]

    def test_within_quotes_it_is_text_and_without_them_it_breaks_the_row_alone(self) -> None:
        lines = ["pfaId,model\r\n", 'P-1,"a\rb"\r\n', "P-2,c\rd\n", "P-3,e\r\n"]
        one, two, rest, last = Table(lines, "in.csv").rows()
        assert (one.cells, two.cells, last.cells) == (
            ["P-1", "a\rb"],
            ["P-2", "c"],
            ["P-3", "e"],
        )
        assert rest.fault == "has 1 cells, the header 2"


class TestSeparators:
    @pytest.mark.parametrize(
        ("separator", "written"), [(";", "';'"), ("\t", "tabs"), ("|", r"'\|'")]
    )
    def test_another_separator_than_a_comma_is_named(self, separator: str, written: str) -> None:
        with pytest.raises(InvalidData, match=f"separated by {written}, not by ','; nothing was"):
            table(f"pfaId{separator}monthlyRate\nP-1{separator}1200,50\n")

    def test_the_line_that_names_the_separator_is_read(self) -> None:
        assert rows(f"sep=,\n{HEADER}\nP-1,a\n") == [Row(3, ["P-1", "a"])]
        with pytest.raises(InvalidData, match="separated by ';'"):
            table("sep=;\npfaId;model\n")

    def test_a_separator_inside_a_value_or_a_later_name_is_text(self) -> None:
        assert cells('pfaId,"a;b"\nP-1,"c;d\te|f"\n') == [("P-1", "c;d\te|f")]

    def test_the_first_line_tells_csv_and_tsv_apart(self) -> None:
        assert table_format("pfaId\tmodel\n") == "tsv"
        assert table_format("pfaId\tmodel, make\n") == "tsv"
        assert table_format("pfaId,model\n") == "csv"
        assert table_format("pfaId,the\tmodel\n") == "csv"
        assert table_format("pfaId\n") == "csv"


class TestTsv:
    @given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
    def test_what_the_lists_write_is_read_as_it_was(self, texts: list[str]) -> None:
        header = "\t".join(["id", *(f"c{number}" for number, _ in enumerate(texts))])
        line = "\t".join(["P-1", *map(tsv_field, texts)])
        assert cells(f"{header}\n{line}\n", "tsv") == [("P-1", *texts)]
        assert cells(f"{header}\r\n{line}\r\n", "tsv") == [("P-1", *texts)]

    def test_an_unknown_escape_is_a_fault(self) -> None:
        one, two = rows("pfaId\tmodel\nP-1\tC:\\data\nP-2\tC:\\\\data\n", "tsv")
        assert one.fault == r"has the unknown escape \d; a backslash is written \\"
        assert (two.cells, two.fault) == (["P-2", r"C:\data"], "")


class TestHeader:
    @pytest.mark.parametrize("text", ["", "\n", ",,\n", " , \n\n"])
    def test_a_table_without_a_name_of_a_column_is_empty(self, text: str) -> None:
        with pytest.raises(InvalidData, match=r"in\.csv is empty; nothing was saved"):
            table(text, kept="nothing was saved")

    def test_a_column_twice_is_named(self) -> None:
        with pytest.raises(InvalidData, match="the column 'model' is listed twice"):
            table("pfaId,model,model\n")

    def test_a_quotation_without_an_end_ends_the_reading(self) -> None:
        with pytest.raises(InvalidData, match="line 3: unexpected end of data; nothing was stored"):
            rows(f'{HEADER}\nP-1,"a\nP-2,b\n')


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (workbook(), r"an Excel workbook \(\.xlsx\)"),
        (b"PK\x03\x04 anything else", "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 20, r"an Excel workbook \(\.xls\)"),
        ("pfaId,model\n".encode("utf-16"), "UTF-16"),
        ("pfaId,model\n".encode("utf-16-le"), "UTF-16LE"),
        ("pfaId,model\n".encode("utf-16-be"), "UTF-16BE"),
        ("pfaId,model\n".encode("utf-32"), "UTF-32"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"BZh91AY&SY", "compressed by bzip2"),
    ],
)
def test_content_that_is_no_text_in_utf_8_is_named(content: bytes, what: str) -> None:
    with pytest.raises(InvalidData, match=f"in.csv is {what}, not text in UTF-8; nothing was"):
        refuse_foreign_content(content, "in.csv")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>", "a web page"),
        (b"<?xml version='1.0'?>", "XML"),
    ],
)
def test_markup_is_named_and_not_said_to_be_in_another_encoding(content: bytes, what: str) -> None:
    with pytest.raises(InvalidData, match=f"in.csv is {what}, not a list of records; nothing was"):
        refuse_foreign_content(content, "in.csv")


@pytest.mark.parametrize(
    "content", [b"", b"pfaId\n", b"PK,model\n", '{"pfaId":"é"}'.encode(), b"\xef\xbb\xbfpfaId,a\n"]
)
def test_text_is_not_refused(content: bytes) -> None:
    refuse_foreign_content(content, "in.csv")
