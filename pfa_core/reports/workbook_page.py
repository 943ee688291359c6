"""A page as a workbook: a summary, then a sheet for each section with a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import BinaryIO

from pfa_core.files.sheets.columns import Column as SheetColumn
from pfa_core.files.sheets.workbook_writer import SheetChart, WorkbookWriter, sheets_of_workbook
from pfa_core.reports.page import ChartKind, Column, Kind, Page, Role, Row, Section, Table, Value
from pfa_core.reports.texts import moment, shown

_FORMATS = {
    Kind.TEXT: "@",
    Kind.KEY: "@",
    Kind.COUNT: "#,##0",
    Kind.MONEY: "#,##0.00",
    Kind.CHANGE: "+#,##0.00;-#,##0.00;0.00",
    Kind.PERCENT: '+#,##0.00" %";-#,##0.00" %";0.00" %"',
    Kind.TIME: "yyyy-mm-dd hh:mm",
}
_SUMMARY = (
    Column("What"),
    Column("Value"),
    Column("Note"),
)
_NAMES = {"calendar": "Years"}  # the months have a sheet of their own
Line = tuple[str, Value, Kind, str]


def write_workbook(page: Page, file: BinaryIO) -> None:
    """Write a page as a workbook into a file.

    Raises:
        ConfigInvalid: The package for it is not installed.
        IoFailure: There is no room for it.
    """
    with sheets_of_workbook(file, at=page.made_at.astimezone(UTC)) as add:
        summary = add("Summary", _columns(_SUMMARY))
        for name, value, kind, note in _lines(page):
            formats = (_FORMATS[Kind.TEXT], _FORMATS[kind], _FORMATS[Kind.TEXT])
            summary.write(
                (name, _cell(value, kind), shown(note, Kind.TEXT)), number_formats=formats
            )
        for section in page.sections:
            if section.tables:
                table = section.tables[0]
                sheet = add(_name(section), _columns(table.columns))
                rows = _write(section, sheet)
                _draw(section, table, sheet, rows)


def _lines(page: Page) -> Iterator[Line]:
    yield "Title", page.title, Kind.TEXT, page.subject
    yield "Made at", moment(page.made_at), Kind.TEXT, ""
    for name, value in page.facts:
        yield name, value, Kind.TEXT, ""
    for name, value in page.filters:
        yield f"Only {name}", value, Kind.TEXT, ""
    yield "In short", page.lead, Kind.TEXT, ""
    for warning in page.warnings:
        yield "To know first", warning, Kind.TEXT, ""
    for section in page.sections:
        for figure in section.figures:
            yield figure.label, figure.value, figure.kind, figure.note
        for paragraph in section.paragraphs:
            yield section.title, paragraph, Kind.TEXT, ""
        for command in section.commands:
            yield section.title, command, Kind.TEXT, ""


def _name(section: Section) -> str:
    return _NAMES.get(section.name) or section.name.replace("-", " ").capitalize()


def _columns(columns: tuple[Column, ...]) -> list[SheetColumn]:
    return [
        SheetColumn(name=_heading(column), number_format=_FORMATS[column.kind])
        for column in columns
    ]


def _heading(column: Column) -> str:
    return column.name


def _write(section: Section, sheet: WorkbookWriter) -> int:
    """Write the rows of a section's tables; return how many stand for one thing each."""
    number = 0
    for table in section.tables:
        for row in table.rows:
            if table.is_detail and row.role is Role.TOTAL:
                continue  # in one sheet the months of all years follow one another
            sheet.write(_cells(table, row))
            number += row.role is not Role.TOTAL
    for row in section.sheet_ends:
        sheet.write(_cells(section.tables[0], row))
    return number


def _cells(table: Table, row: Row) -> list[Value]:
    return [
        _cell(value, column.kind) for column, value in zip(table.columns, row.values, strict=True)
    ]


def _cell(value: Value, kind: Kind) -> Value:
    """Return a value as its cell; control characters of a text are visible."""
    if isinstance(value, str):
        return shown(value, kind)
    return value


def _draw(section: Section, table: Table, sheet: WorkbookWriter, rows: int) -> None:
    """Draw a chart over plan and forecast beside the rows."""
    chart = section.chart
    names = [column.name for column in table.columns]
    if chart is None or not chart.is_money or "Plan" not in names:
        return
    sheet.draw(
        SheetChart(
            title=section.title_of_tables or chart.title,
            description=chart.summary
            if not section.title_of_tables
            else "Plan and forecast of each row of the sheet.",
            rows=rows,
            reference=names.index("Plan"),
            series=names.index("Forecast"),
            is_bars=chart.kind is ChartKind.BARS,
        )
    )
