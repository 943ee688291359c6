"""Tables in pipes and in Markdown; the only importer of tabulate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import Any

import tabulate

from pfa_cli.render.cells import padded, width
from pfa_cli.render.escape import visible
from pfa_cli.render.numbers import numbers_in
from pfa_cli.render.plain import plain

# By default tabulate pads a header to two blanks more than its column needs.
tabulate.MIN_PADDING = 0
# It counts characters, not cells, unless a module of this name is installed.
for _name, _value in (("WIDE_CHARS_MODE", True), ("wcwidth", SimpleNamespace(wcswidth=width))):
    setattr(tabulate, _name, _value)

_GAP = 2
# Rows that decide how wide the columns are, and on which side their cells: a longer table is written as it comes.
MEASURED = 1000


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    markdown: bool,
    numeric: frozenset[int] = frozenset(),
) -> Iterator[str]:
    """Format rows as a table of any length, in constant memory.

    Without rows nothing is yielded.

    The first 1,000 rows decide about the columns; a longer cell moves the cells behind it.

    Args:
        numeric: Indexes of columns whose cells are texts of numbers; columns of numbers need none.
    """
    rest = iter(rows)
    first = list(islice(rest, MEASURED))
    if not first:
        return
    right = numeric | numbers_in(first)
    text = _first(headers, [_texts(row) for row in first], right, markdown=markdown)
    yield text
    rule = text.split("\n", 2)[1]
    widths = [len(part) for part in (rule.strip("|").split("|") if markdown else rule.split())]
    write = _markdown_line if markdown else _plain_line
    for row in rest:
        yield write(_texts(row), widths, right)


def _texts(row: Sequence[Any]) -> list[str]:
    return [visible(plain(value)) for value in row]


def _first(
    headers: Sequence[str], cells: list[list[str]], right: frozenset[int], *, markdown: bool
) -> str:
    if markdown:
        cells = [[cell.replace("|", r"\|") for cell in row] for row in cells]
    align = ["right" if index in right else "left" for index in range(len(cells[0]))]
    made = tabulate.tabulate(
        cells,
        headers=list(headers),
        tablefmt="pipe" if markdown else "simple",
        disable_numparse=True,
        colalign=align,
    )
    return made if markdown else "\n".join(line.rstrip() for line in made.split("\n"))


def _plain_line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    return (" " * _GAP).join(_aligned(cells, widths, right)).rstrip()


def _markdown_line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    inner = [width - _GAP for width in widths]
    return f"| {' | '.join(_aligned(escaped, inner, right))} |"


def _aligned(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> Iterator[str]:
    for index, (cell, most) in enumerate(zip(cells, widths, strict=True)):
        yield padded(cell, most, right=index in right)
