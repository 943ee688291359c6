"""Tables on a terminal: planned for its width, coloured by meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice, zip_longest
from typing import Any

from pfa_cli.render import palette, terminal
from pfa_cli.render.cells import padded
from pfa_cli.render.columns import described
from pfa_cli.render.escape import visible
from pfa_cli.render.folding import atoms_width, fold
from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import signed
from pfa_cli.render.kinds import RIGHT, WHOLE, Column, Kind
from pfa_cli.render.numbers import numbers_in
from pfa_cli.render.plain import plain
from pfa_cli.render.planner import GAP, Plan, plan
from pfa_cli.render.terminal import Line, Span, measure

MEASURED = 1000  # rows that are planned together: a longer table is written as it comes
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_FRAME = 4  # the sides of a panel, each with a blank
_BESIDE = 10  # cells that a value needs beside its name


def table(
    names: Sequence[str | Column],
    rows: Iterable[Sequence[Any]],
    look: Look,
    *,
    numeric: frozenset[int] = frozenset(),
    ranked: Sequence[str] = (),
    may_drop: bool = True,
) -> Iterator[str]:
    """Draw rows as a table of any length in constant memory, one text for each row.

    A batch of rows that does not fit the columns of those before it gets columns of its own, with headers.
    """
    rest = iter(rows)
    current: Plan | None = None
    columns: list[Column] = []
    ended = False  # whether a record that stands one field a line is above
    while batch := list(islice(rest, MEASURED)):
        if current is None:
            columns = described(names, numeric=numeric | numbers_in(batch), ranked=ranked)
        cells = [
            [_cell(value, column) for value, column in zip(row, columns, strict=True)]
            for row in batch
        ]
        texts = [[text for text, _ in row] for row in cells]
        if current is None or not current.holds(columns, texts, measure):
            yield from [""] if current else []
            current = plan(
                columns, texts, look.width, measure, may_drop=may_drop and not look.columns
            )
            look.omit(
                column.key or column.name
                for column in map(columns.__getitem__, current.dropped)
                if column.kind is not Kind.BAR  # other columns say it in figures
            )
            yield from [] if current.vertical else [_text(_header(columns, current, look), look)]
        room = _unbroken(columns, texts) if current.vertical else 0
        for row in cells:
            if current.vertical:
                yield from [""] if ended else []
                ended = True
                yield _text(pairs_lines(_named(columns, row), look.width, room), look)
            else:
                yield _text(_row(columns, current, row), look)


def pairs_lines(pairs: Sequence[tuple[str, Span]], cells: int, least: int = _BESIDE) -> list[Line]:
    """Draw names and values, a pair a line, the values aligned and folded.

    Where that leaves a value less than the least room, it stands below its name. So does a value of one word,
    such as a checksum, that fits there whole, as it is copied.
    """
    label = max((measure(name) for name, _ in pairs), default=0)
    least = max(least, _BESIDE)
    beside = not cells or cells - label - GAP >= least
    below = GAP if cells - GAP >= least else 0
    lines: list[Line] = []
    for name, (text, style) in pairs:
        indent = label + GAP if beside else below
        room = cells - indent if cells else measure(text)
        if beside and cells and room < measure(text) <= cells and not text.count(" "):
            begin = min(GAP, cells - measure(text))
            lines += [[(name, palette.NOTE)], [(" " * begin, ""), (text, style)]]
            continue
        parts = fold(text, max(room, 1), measure)
        if beside:
            lines.append([(padded(name, indent, measure), palette.NOTE), (parts.pop(0), style)])
        else:
            lines += [[(part, palette.NOTE)] for part in fold(name, cells, measure)]
        lines += [[(" " * indent, ""), (part, style)] for part in parts if part or not beside]
    return lines


def facts(pairs: Sequence[tuple[str, Any]], look: Look) -> str:
    """Draw names and values for the terminal's width."""
    spans = [(name, (visible(plain(value)), getattr(value, "style", ""))) for name, value in pairs]
    return _text(pairs_lines(spans, look.width), look)


def prose(lines: Sequence[str], look: Look) -> str:
    """Draw lines of text, folded to the terminal with the indent of each."""
    return _text(
        (
            line
            for text in lines
            for line in hanging(
                [(text[: len(text) - len(text.lstrip())], "")],
                (text.lstrip(), getattr(text, "style", "")),
                look.width,
            )
        ),
        look,
    )


def panel(title: str, lines: Sequence[Line], look: Look, style: str = "") -> str:
    """Frame lines that are folded to `inner`; a longer title stands among them."""
    if look.width and measure(title) > look.width - _FRAME - GAP:
        lines = [*([(part, palette.HEADER)] for part in fold(title, inner(look), measure)), *lines]
        title = ""
    return terminal.panel(
        title, lines, width=look.width, colored=look.colored, unicode=look.unicode, style=style
    )


def inner(look: Look) -> int:
    """Return the cells of a line within a panel; 0 for any number."""
    return max(1, look.width - _FRAME) if look.width else 0


def hanging(before: Line, span: Span, cells: int) -> list[Line]:
    """Fold a text behind another one, or below where that leaves no room."""
    indent = sum(measure(text) for text, _ in before)
    text, style = span
    if cells and cells - indent < _BESIDE:
        folded_text = fold(text, max(1, cells - GAP), measure)
        return [
            *_wrapped(before, cells),
            *([(" " * GAP, ""), (part, style)] for part in folded_text),
        ]
    first, *rest = fold(text, cells - indent if cells else measure(text), measure)
    return [[*before, (first, style)], *([(" " * indent, ""), (part, style)] for part in rest)]


def folded(line: str, cells: int) -> list[str]:
    """Fold a line of text; 0 cells are any number."""
    return fold(line, cells, measure) if cells else [line]


def _wrapped(line: Line, cells: int) -> list[Line]:
    if sum(measure(text) for text, _ in line) <= cells:
        return [line]
    return [[(part, style)] for text, style in line for part in fold(text.rstrip(), cells, measure)]


def _cell(value: Any, column: Column) -> Span:
    is_signed = column.role == "variance" and isinstance(value, Decimal)
    text = signed(value) if is_signed else visible(plain(value))
    if column.kind is Kind.TIME:
        text = _INSTANT.sub(r"\1 \2Z", text)
    return text, getattr(value, "style", "") or palette.of(column.role, text)


def _unbroken(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> int:
    """Measure the widest of what must not be parted."""
    widths = (
        measure(text) if column.kind in WHOLE else atoms_width(text, measure)
        for row in texts
        for column, text in zip(columns, row, strict=True)
    )
    return max(widths, default=0)


def _named(columns: Sequence[Column], row: Sequence[Span]) -> list[tuple[str, Span]]:
    """Pair the fields of a row with their names, without empty ones."""
    return [(column.name, cell) for column, cell in zip(columns, row, strict=True) if cell[0]]


def _text(lines: Iterable[Line], look: Look) -> str:
    return "\n".join(terminal.paint(line, colored=look.colored) for line in lines)


def _header(columns: Sequence[Column], current: Plan, look: Look) -> list[Line]:
    names = [
        fold(columns[index].name, width, measure)
        for index, width in zip(current.shown, current.widths, strict=True)
    ]
    height = max(map(len, names))
    raised = [["", *[""] * (height - len(name) - 1), *name][-height:] for name in names]
    styled = [[(part, palette.HEADER) for part in name] for name in raised]
    dash = "─" if look.unicode else "-"
    rule: Line = [((" " * GAP).join(dash * width for width in current.widths), palette.NOTE)]
    return [*_beside(columns, current, styled), rule]


def _row(columns: Sequence[Column], current: Plan, row: Sequence[Span]) -> list[Line]:
    folded = [
        [(part, row[index][1]) for part in fold(row[index][0], width, measure)]
        for index, width in zip(current.shown, current.widths, strict=True)
    ]
    return _beside(columns, current, folded)


def _beside(
    columns: Sequence[Column], current: Plan, cells: Sequence[Sequence[Span]]
) -> list[Line]:
    """Put the lines of cells side by side."""
    return [
        [
            span
            for place, cell in enumerate(parts)
            for span in _placed(columns, current, place, cell)
        ]
        for parts in zip_longest(*cells, fillvalue=("", ""))
    ]


def _placed(columns: Sequence[Column], current: Plan, place: int, cell: Span) -> list[Span]:
    text, style = cell
    gap = " " * GAP if place else ""
    blanks = " " * (current.widths[place] - measure(text))
    if columns[current.shown[place]].kind in RIGHT:
        return [(gap + blanks, ""), (text, style)]
    return [(gap, ""), (text, style), (blanks, "")]
