"""Workbooks (.xlsx), written row by row; the only module that imports xlsxwriter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from pfa_core import exact_json
from pfa_core.errors import InvalidData, InvalidRequest, IoFailure
from pfa_core.files.extras import extra
from pfa_core.model.record import Kind

if TYPE_CHECKING:
    from pfa_core.files.sheets.columns import Column

MAX_ROWS = 1_048_576
MAX_TEXT = 32_767  # characters of a cell
FIRST_DAY = "1900-03-01"  # a spreadsheet counts a day before it that was none
# XML has no such characters, in no spelling.
NOT_IN_XML = str.maketrans("\ufffe\uffff", "\ufffd\ufffd")
_WIDEST, _NARROWEST, _MARGIN = 48, 8, 3
_FORMATS = {
    Kind.MONEY: "#,##0.00",
    Kind.DATE: "yyyy-mm-dd",
    Kind.TEXT: "@",
    Kind.CHOICE: "@",
    Kind.FLAG: "General",
}


class WorkbookWriter:
    """One sheet of a workbook.

    The header stays in sight and filters; what can be edited is white, the rest grey. No text becomes a formula.
    """

    def __init__(self, book: Any, columns: Sequence[Column], name: str) -> None:
        """Write the header."""
        self._sheet = book.add_worksheet(name)
        self._columns = columns
        self._formats = [_cell_format(book, column) for column in columns]
        self._widths = [len(column.name) for column in columns]
        self._row = 0
        for place, column in enumerate(columns):
            self._sheet.write_string(0, place, column.name, _header_format(book, column))

    def write(self, values: Sequence[Any]) -> None:
        """Write the values of one row.

        Raises:
            InvalidRequest: There are more rows than a sheet has.
            InvalidData: A text is longer than a cell takes.
        """
        self._row += 1
        if self._row >= MAX_ROWS:
            raise InvalidRequest(
                f"a sheet has at most {MAX_ROWS - 1:,} records",
                hint="choose fewer, or write a file that ends with .csv or .parquet",
            )
        for place, value in enumerate(values):
            self._write(place, value)

    def _write(self, place: int, value: Any) -> None:
        column, look = self._columns[place], self._formats[place]
        if value is None or value == "":
            self._sheet.write_blank(self._row, place, None, look)
        elif isinstance(value, bool):
            self._sheet.write_boolean(self._row, place, value, look)
        elif (
            isinstance(value, int | Decimal)
            and column.kind is not Kind.TEXT
            and abs(value) < 10**300
        ):
            self._sheet.write_number(self._row, place, float(value), look)
            self._measure(place, len(f"{value:,}") + 2)
        elif column.kind is Kind.DATE and isinstance(value, str) and (day := _day(value)):
            self._sheet.write_datetime(self._row, place, day, look)
            self._widths[place] = max(self._widths[place], 10)
        else:
            self._write_text(place, value if isinstance(value, str) else exact_json.dumps(value))

    def _write_text(self, place: int, text: str) -> None:
        if len(text) > MAX_TEXT:
            column = self._columns[place]
            what = "what cells showed" if column.is_hidden else column.name
            raise InvalidData(
                f"row {self._row + 1}: {what} has {len(text):,} characters, a cell takes {MAX_TEXT:,};"
                " nothing was written",
                hint="leave the record or the column out, or write a file that ends with .csv",
            )
        self._sheet.write_string(self._row, place, text.translate(NOT_IN_XML), self._formats[place])
        self._measure(place, len(text))

    def _measure(self, place: int, width: int) -> None:
        if width > self._widths[place]:
            self._widths[place] = width

    def end(self) -> None:
        """Set what depends on all rows: widths, filter, choices."""
        sheet, last = self._sheet, max(self._row, 1)
        for place, (column, look) in enumerate(zip(self._columns, self._formats, strict=True)):
            width = min(max(self._widths[place], _NARROWEST), _WIDEST) + _MARGIN
            sheet.set_column(
                place, place, width, look, {"hidden": True} if column.is_hidden else {}
            )
            if column.is_editable and (choices := _choices(column)):
                sheet.data_validation(
                    1, place, last, place, {"validate": "list", "source": choices}
                )
        sheet.autofilter(0, 0, last, len(self._columns) - 1)
        sheet.freeze_panes(1, 1)


@contextmanager
def workbook(
    file: BinaryIO, columns: Sequence[Column], *, name: str = "records", at: datetime | None = None
) -> Iterator[WorkbookWriter]:
    """Write a workbook of one sheet into a file, in constant memory.

    Args:
        at: When it was made; None: now.

    Raises:
        ConfigInvalid: The package for it is not installed.
        IoFailure: There is no room for it.
    """
    with extra("xlsx", "to write workbooks"):
        import xlsxwriter
        from xlsxwriter.exceptions import FileCreateError
    with TemporaryDirectory(prefix="pfa-") as folder:
        options = {
            "constant_memory": True,
            "tmpdir": folder,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        book = xlsxwriter.Workbook(file, options)
        if at:
            book.set_properties({"created": at.replace(tzinfo=None)})
        try:
            writer = WorkbookWriter(book, columns, name)
            yield writer
            writer.end()
            book.close()
        except FileCreateError as error:
            raise IoFailure(f"the workbook cannot be written: {error}") from error
        finally:
            _let_go(book)


def _let_go(book: Any) -> None:
    """Keep a workbook that was not finished from warning of it when it is collected."""
    for sheet in book.worksheets():
        if (rows := getattr(sheet, "row_data_fh", None)) is not None and not rows.closed:
            rows.close()
    book.fileclosed = True


def _cell_format(book: Any, column: Column) -> Any:
    look: dict[str, Any] = {"num_format": _FORMATS[column.kind] if column.kind else "General"}
    if column.is_editable:
        look["locked"] = False
    else:
        look |= {"bg_color": "#F2F2F2", "font_color": "#595959"}
    return book.add_format(look)


def _header_format(book: Any, column: Column) -> Any:
    color = "#DDEBF7" if column.is_editable else "#D9D9D9"
    return book.add_format({"bold": True, "bg_color": color, "bottom": 1, "num_format": "@"})


def _choices(column: Column) -> list[Any]:
    return ["TRUE", "FALSE"] if column.kind is Kind.FLAG else list(column.choices)


@lru_cache(maxsize=20_000)
def _day(text: str) -> datetime | None:
    """Return a day that a spreadsheet can count."""
    try:
        return datetime.fromisoformat(text) if len(text) == 10 and text >= FIRST_DAY else None
    except ValueError:
        return None
