"""Workbooks (.xlsx), written row by row; the only module that imports xlsxwriter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
        self._book = book
        self._name = name
        self._columns = columns
        self._made: dict[str, Any] = {}
        self._formats = [_cell_format(book, column) for column in columns]
        self._widths = [len(column.name) for column in columns]
        self._row = 0
        for place, column in enumerate(columns):
            self._sheet.write_string(0, place, column.name, _header_format(book, column))

    def write(self, values: Sequence[Any], *, number_formats: Sequence[str] = ()) -> None:
        """Write the values of one row.

        Args:
            number_formats: Of its cells, where they are not those of the columns.

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
        looks = self._looks(number_formats) if number_formats else self._formats
        for place, value in enumerate(values):
            self._write(place, value, looks[place])

    def _looks(self, number_formats: Sequence[str]) -> list[Any]:
        """Return the looks of number formats, each made once."""
        for each in number_formats:
            if each not in self._made:
                self._made[each] = self._book.add_format({"num_format": each})
        return [self._made[each] for each in number_formats]

    def _write(self, place: int, value: Any, look: Any) -> None:
        column = self._columns[place]
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
        elif isinstance(value, datetime):
            self._sheet.write_datetime(self._row, place, value.replace(tzinfo=None), look)
            self._measure(place, 16)
        else:
            text = value if isinstance(value, str) else exact_json.dumps(value)
            self._write_text(place, text, look)

    def _write_text(self, place: int, text: str, look: Any) -> None:
        if len(text) > MAX_TEXT:
            column = self._columns[place]
            what = "what cells showed" if column.is_hidden else column.name
            raise InvalidData(
                f"row {self._row + 1}: {what} has {len(text):,} characters, a cell takes {MAX_TEXT:,};"
                " nothing was written",
                hint="leave the record or the column out, or write a file that ends with .csv",
            )
        self._sheet.write_string(self._row, place, text.translate(NOT_IN_XML), look)
        self._measure(place, len(text))

    def _measure(self, place: int, width: int) -> None:
        if width > self._widths[place]:
            self._widths[place] = width

    def draw(self, drawn: SheetChart) -> None:
        """Put a chart of rows beside them."""
        chart = self._book.add_chart({"type": "bar" if drawn.is_bars else "column"})
        reference = chart if drawn.is_bars else self._book.add_chart({"type": "line"})
        for into, place, color in (
            (reference, drawn.reference, "#7A8691"),
            (chart, drawn.series, "#2467B0"),
        ):
            into.add_series(self._series(drawn.rows, place, color, is_line=into is not chart))
        if reference is not chart:
            chart.combine(reference)
        chart.set_title({"name": drawn.title, "name_font": {"size": 12}})
        chart.set_legend({"position": "top"})
        if drawn.is_bars:
            chart.set_y_axis({"reverse": True})
        size = {"width": 720, "height": max(320, 34 * drawn.rows if drawn.is_bars else 0)}
        chart.set_size(size)
        beside = {"description": drawn.description, "object_position": 2}
        self._sheet.insert_chart(1, len(self._columns) + 1, chart, beside)

    def _series(self, rows: int, place: int, color: str, *, is_line: bool) -> dict[str, Any]:
        look = {"line": {"color": color, "width": 2}} if is_line else {"fill": {"color": color}}
        return {
            "name": [self._name, 0, place],
            "categories": [self._name, 1, 0, rows, 0],
            "values": [self._name, 1, place, rows, place],
            **look,
        }

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetChart:
    """A chart of the first rows of a sheet, named by their first cell.

    `reference` and `series` are the places of its two columns; columns with a line over them, unless `is_bars`.
    """

    title: str
    description: str
    rows: int
    reference: int
    series: int
    is_bars: bool


@contextmanager
def workbook(
    file: BinaryIO, columns: Sequence[Column], *, name: str = "records", at: datetime | None = None
) -> Iterator[WorkbookWriter]:
    """Write a workbook of one sheet into a file, in constant memory.

    Args and errors: as `sheets_of_workbook`.
    """
    with sheets_of_workbook(file, at=at) as add:
        yield add(name, columns)


@contextmanager
def sheets_of_workbook(
    file: BinaryIO, *, at: datetime | None = None
) -> Iterator[Callable[[str, Sequence[Column]], WorkbookWriter]]:
    """Write a workbook into a file, in constant memory; what is yielded adds a sheet.

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
        writers: list[WorkbookWriter] = []

        def add(name: str, columns: Sequence[Column]) -> WorkbookWriter:
            writers.append(WorkbookWriter(book, columns, name))
            return writers[-1]

        try:
            yield add
            for writer in writers:
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
    if column.number_format:
        return book.add_format({"num_format": column.number_format})
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
