"""A page as Markdown, that reads well raw in 80 columns too."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from unicodedata import east_asian_width

from pfa_core.reports.page import Chart, ChartKind, Column, Figure, Page, Role, Row, Section, Table
from pfa_core.reports.scale import scale_of
from pfa_core.reports.texts import NONE, cut, moment, shown, visible

WIDTH = 80
_BAR = 40
_MARKS = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|~&$#"})


def markdown_page(page: Page) -> str:
    """Write a page as Markdown."""
    parts = [f"# {_safe(page.title)}"]
    parts += [_safe(page.subject)] if page.subject else []
    parts += [_facts(page), _wrapped(_safe(page.lead))]
    if page.warnings:
        parts.append("\n".join(_item(_safe(warning)) for warning in page.warnings))
    parts += [part for section in page.sections for part in _section(section)]
    return "\n\n".join(parts) + "\n"


def _facts(page: Page) -> str:
    pairs = [("Made at", moment(page.made_at)), *page.facts]
    pairs += [(f"Only {name}", value) for name, value in page.filters]
    return "\n".join(_item(f"{_safe(name)}: {_safe(value)}") for name, value in pairs)


def _section(section: Section) -> Iterator[str]:
    yield f"## {_safe(section.title_of_tables or section.title)}"
    if section.figures:
        yield "\n".join(map(_figure, section.figures))
    for paragraph in section.paragraphs:
        yield _wrapped(_safe(paragraph))
    if section.chart and section.chart.kind is ChartKind.BARS:
        yield _bars(section.chart)
    for table in section.tables:
        if len(section.tables) > 1:
            yield f"### {_safe(table.caption)}"
        yield _tabled(table)
    if section.commands:
        yield _fenced(section.commands)


def _figure(figure: Figure) -> str:
    note = f" ({_safe(figure.note)})" if figure.note else ""
    return _item(f"{_safe(figure.label)}: **{_safe(shown(figure.value, figure.kind))}**{note}")


def _tabled(table: Table) -> str:
    """Write a table in the width of the page.

    Where it has no room, it is without its extra columns and bold totals, else a list.
    """
    whole = list(range(len(table.columns)))
    needed = [place for place in whole if not table.columns[place].is_extra]
    made = ""
    for places, marked in ((whole, True), (needed, True), (needed, False)):
        columns = [table.columns[place] for place in places]
        rows = [[_cell(row, place, table.columns[place]) for place in places] for row in table.rows]
        bold = [marked and row.role is Role.TOTAL for row in table.rows]
        made = _table(columns, rows, bold=bold)
        if max(map(_cells, made.split("\n"))) <= WIDTH:
            return made
    if all(column.kind.is_number for column in table.columns[1:]):
        return made  # only names or amounts of unusual length are to blame
    return "\n".join(_listed(table, row) for row in table.rows)


def _cell(row: Row, place: int, column: Column) -> str:
    return shown(row.values[place], column.kind) or NONE


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, bold: Sequence[bool] = ()
) -> str:
    heads = [_safe(column.name) for column in columns]
    body = [[_safe(cell) for cell in row] for row in rows]
    for cells, is_bold in zip(body, bold, strict=False):
        cells[:] = [f"**{cell}**" if is_bold and cell else cell for cell in cells]
    widths = [
        max(3, *(_cells(row[place]) for row in [heads, *body])) for place in range(len(columns))
    ]
    right = [column.kind.is_number for column in columns]
    rule = [
        "-" * (width - 1) + ":" if is_right else "-" * width
        for width, is_right in zip(widths, right, strict=True)
    ]
    lines = [_line(heads, widths, right), f"| {' | '.join(rule)} |"]
    return "\n".join([*lines, *(_line(row, widths, right) for row in body)])


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (width - _cells(cell)) + cell if is_right else cell + " " * (width - _cells(cell))
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _listed(table: Table, row: Row) -> str:
    """Write a row as an item of a list, with the names of what is not clear by itself."""
    first, *rest = (
        (column, _cell(row, place, column)) for place, column in enumerate(table.columns)
    )
    parts = [f"{_safe(column.name)}: {_safe(text)}" for column, text in rest if text != NONE]
    return _item(f"**{_safe(first[1])}** {'; '.join(parts)}")


def _bars(chart: Chart) -> str:
    """Draw plan and forecast of each name as bars of characters."""
    scale = scale_of((*chart.values, *chart.reference_values))
    name = max(len(chart.reference), len(chart.series))
    unit = ", ".join(part for part in (chart.unit, scale.name and f"in {scale.name}") if part)
    lines = [unit] if unit else []
    notes = chart.notes or ("",) * len(chart.labels)
    for number, (label, note) in enumerate(zip(chart.labels, notes, strict=True)):
        lines += ["", f"{cut(visible(label), WIDTH - 14)}  {note}"]
        for what, values, mark in (
            (chart.reference, chart.reference_values, "░"),
            (chart.series, chart.values, "█"),
        ):
            bar = mark * _length(scale.share(values[number]))
            lines.append(f"  {what:<{name}}  {bar} {scale.amount(values[number])}")
    return _fenced(lines[1:] if not unit else lines)


def _length(share: Decimal) -> int:
    return max(1, round(share * _BAR)) if share else 0


def _fenced(lines: Iterable[str]) -> str:
    """Put lines into a block that is shown as it is; none of them ends it."""
    text = "\n".join(line.rstrip() for line in lines)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _item(text: str) -> str:
    return _filled(text, first="- ", following="  ")


def _wrapped(text: str) -> str:
    return _filled(text)


def _filled(text: str, *, first: str = "", following: str = "") -> str:
    """Fold a text; no line that begins within it begins a list or a heading."""
    lines = textwrap.wrap(text, WIDTH - 1, initial_indent=first, subsequent_indent=following,
                          break_long_words=False, break_on_hyphens=False)  # fmt: skip
    begun = [_safe_start(line[len(following) :]) for line in lines[1:]]
    return "\n".join([*lines[:1], *(following + line for line in begun)])


def _safe_start(line: str) -> str:
    word, _, _ = line.partition(" ")
    if word and not word.strip("-+="):
        return f"\\{line}"
    if word[:-1].isdecimal() and word[-1] in ".)":
        return f"{word[:-1]}\\{line[len(word) - 1 :]}"
    return line


def _safe(text: str) -> str:
    """Escape what Markdown gives a meaning to, and what becomes a link by itself."""
    return visible(text).translate(_MARKS).replace("://", "\\://").replace("www.", "www\\.")


def _cells(text: str) -> int:
    """Count the cells of a text; wide characters take two."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
