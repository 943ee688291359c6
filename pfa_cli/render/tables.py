"""Tables for people: aligned text and Markdown; the only importer of tabulate."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import tabulate
import typer

from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.plain import plain

# By default tabulate pads a header to two blanks more than its column needs.
tabulate.MIN_PADDING = 0

_GAP = 2
_NARROWEST = 8
# Rows that decide how wide the columns are, and on which side their cells: a longer table is written as it comes.
MEASURED = 1000


def lines_of(
    headers: Sequence[str],
    rows: Iterable[Sequence[Any]],
    look: Look,
    *,
    numeric: frozenset[int] = frozenset(),
) -> Iterator[str]:
    """Format rows as a table of any length, in constant memory.

    Without rows nothing is yielded.

    The first 1,000 rows decide about the columns. In a terminal a longer cell is cut to its column; elsewhere it
    moves the cells behind it.
    """
    rest = iter(rows)
    first = list(islice(rest, MEASURED))
    if not first:
        return
    table = grid(headers, first, look, numeric=numeric)
    yield table
    right = numeric | _numeric_columns(first)
    rule = table.split("\n", 2)[1]
    markdown = look.format is Format.MARKDOWN
    widths = [len(part) for part in (rule.strip("|").split("|") if markdown else rule.split())]
    write = _markdown_line if markdown else _plain_line
    for row in rest:
        cells = [visible(plain(value)) for value in row]
        if look.terminal and not markdown:
            cells = [cells[0], *map(_cut, cells[1:], widths[1:])]
        yield write(cells, widths, right)


def _plain_line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    return (" " * _GAP).join(_aligned(cells, widths, right)).rstrip()


def _markdown_line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    inner = [width - _GAP for width in widths]
    return f"| {' | '.join(_aligned(escaped, inner, right))} |"


def _aligned(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> Iterator[str]:
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.rjust(width) if index in right else cell.ljust(width)


def grid(
    headers: Sequence[str],
    rows: Sequence[Sequence[Any]],
    look: Look,
    *,
    numeric: frozenset[int] = frozenset(),
) -> str:
    """Format rows as a table.

    Args:
        numeric: Indexes of columns whose cells are texts of numbers; columns of numbers need none.
    """
    right = numeric | _numeric_columns(rows)
    cells = [[visible(plain(value)) for value in row] for row in rows]
    if look.format is Format.MARKDOWN:
        cells = [[cell.replace("|", r"\|") for cell in row] for row in cells]
        return _tabulate(headers, cells, right, "pipe")
    if look.terminal:
        cells = _fitted(headers, cells, shutil.get_terminal_size().columns)
    lines = _tabulate(headers, cells, right, "simple").split("\n")
    if look.colored and headers:
        lines[0] = typer.style(lines[0], bold=True)
    return "\n".join(line.rstrip() for line in lines)


def facts(pairs: Sequence[tuple[str, Any]]) -> str:
    """Format names and values, one pair a line, the values aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name:<{width}}  {visible(plain(value))}".rstrip() for name, value in pairs)


def _tabulate(
    headers: Sequence[str], cells: list[list[str]], right: frozenset[int], style: str
) -> str:
    if not cells:
        return "\n".join(["  ".join(headers)])
    align = ["right" if index in right else "left" for index in range(len(cells[0]))]
    return tabulate.tabulate(
        cells, headers=list(headers), tablefmt=style, disable_numparse=True, colalign=align
    )


def _numeric_columns(rows: Sequence[Sequence[Any]]) -> frozenset[int]:
    if not rows:
        return frozenset()
    return frozenset(
        index for index in range(len(rows[0])) if _is_numeric([row[index] for row in rows])
    )


def _is_numeric(values: list[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        for value in present
    )


def _fitted(headers: Sequence[str], cells: list[list[str]], width: int) -> list[list[str]]:
    """Cut cells so that a line fits the width; the first column is never cut."""
    columns = list(zip(headers, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    room = width - _GAP * (len(widths) - 1)
    floors = [widths[0], *(max(len(name), _NARROWEST) for name in headers[1:])]
    while sum(widths) > room:
        spare = [have - least for have, least in zip(widths, floors, strict=True)]
        widest = max(range(len(widths)), key=lambda index: (spare[index] > 0, widths[index]))
        if spare[widest] <= 0:
            break
        widths[widest] -= min(spare[widest], sum(widths) - room, _step(widths, widest))
    return [[_cut(cell, most) for cell, most in zip(row, widths, strict=True)] for row in cells]


def _step(widths: list[int], widest: int) -> int:
    """Return how far the widest column shrinks until another is the widest."""
    others = [
        width for index, width in enumerate(widths) if index != widest and width < widths[widest]
    ]
    return max(1, widths[widest] - max(others, default=0))


def _cut(cell: str, most: int) -> str:
    return cell if len(cell) <= most else cell[: max(1, most - 1)] + "…"
