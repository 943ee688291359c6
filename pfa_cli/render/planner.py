"""Plan of a table: which columns a width holds and how wide each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pfa_cli.render.cells import Measure
from pfa_cli.render.folding import atoms_width, header_width, words_width
from pfa_cli.render.kinds import WHOLE, Column, Kind

GAP = 2
_NARROWEST = 10  # a text folds down to this
_WORD = 16  # a longer word may be broken


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns that are shown, by index; without any, a field stands on a line."""

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    dropped: tuple[int, ...] = ()

    @property
    def vertical(self) -> bool:
        """Whether the columns do not stand side by side."""
        return not self.shown

    def holds(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str]], measure: Measure
    ) -> bool:
        """Tell whether what must stay whole of more rows fits the columns."""
        for index, width in zip(self.shown, self.widths, strict=True):
            wider = [row[index] for row in rows if measure(row[index]) > width]
            if wider and need(columns[index], wider, measure).least > width:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Need:
    """Cells a column needs: at least, for unfolded texts, for its header too."""

    least: int
    text: int
    whole: int
    blank: bool


def plan(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    cells: int,
    measure: Measure,
    *,
    may_drop: bool = True,
) -> Plan:
    """Choose columns and widths for rows, so that no line is wider than `cells`.

    Keys, money, dates, numbers and states stay whole; texts fold. Where that is not enough, columns without a
    value go, then those of the highest rank; where less than half of the columns were left, the fields of a
    row stand one a line.

    Args:
        cells: Width of the terminal; 0 for none.
        may_drop: Whether columns may go; where they were chosen by name only bars may.
    """
    needs = [need(column, [row[i] for row in rows], measure) for i, column in enumerate(columns)]
    shown = list(range(len(columns)))
    if cells and may_drop and _line([needs[i].whole for i in shown]) > cells:
        shown = _without_blank(columns, needs, shown, cells)
    enough = sum(column.kind is not Kind.BAR for column in columns) / 2
    while cells and shown and _line([needs[i].least for i in shown]) > cells:
        leaving = _leaving(columns, shown, may_drop=may_drop)
        if leaving is None or len(shown) - 1 < enough:
            return Plan((), ())
        shown.remove(leaving)
    dropped = tuple(i for i in range(len(columns)) if i not in shown)
    widths = _shared([needs[i] for i in shown], [columns[i].kind for i in shown], cells)
    return Plan(tuple(shown), tuple(widths), dropped)


def need(column: Column, texts: Sequence[str], measure: Measure) -> Need:
    """Measure what a column needs."""
    widest = max(map(measure, texts), default=0)
    whole = max(widest, measure(column.name))
    header = header_width(column.name, measure)
    blank = column.kind is not Kind.KEY and not any(texts)
    if column.kind in WHOLE:
        return Need(max(widest, header), widest, whole, blank)
    if column.kind is Kind.TIME:
        least = max((measure(part) for text in texts for part in text.split()), default=0)
        return Need(max(least, header), widest, whole, blank)
    words = max((words_width(text, measure) for text in texts), default=0)
    least = min(widest, max(_NARROWEST, min(words, _WORD)))
    if column.kind is Kind.VALUE:
        least = max(least, *(atoms_width(text, measure) for text in texts), 0)
    return Need(max(least, header), widest, whole, blank)


def _line(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _without_blank(
    columns: Sequence[Column], needs: Sequence[Need], shown: list[int], cells: int
) -> list[int]:
    """Remove columns without a value until the others fit unfolded."""
    left = list(shown)
    for index in sorted(shown, key=lambda i: -columns[i].rank):
        if _line([needs[i].whole for i in left]) <= cells:
            break
        if needs[index].blank:
            left.remove(index)
    return left


def _leaving(columns: Sequence[Column], shown: Sequence[int], *, may_drop: bool) -> int | None:
    """Return the column that goes next; None where all must stay."""
    bars = [i for i in shown if columns[i].kind is Kind.BAR]
    others = [i for i in shown if columns[i].kind is not Kind.KEY]
    candidates = others if may_drop else bars
    return max(candidates, key=lambda i: (columns[i].rank, i), default=None)


def _shared(needs: Sequence[Need], kinds: Sequence[Kind], cells: int) -> list[int]:
    """Share the room that is left: to times, then to texts, then to headers."""
    if not cells:
        return [need.whole for need in needs]
    widths = [need.least for need in needs]
    for index, kind in enumerate(kinds):
        more = max(0, needs[index].text - widths[index]) if kind is Kind.TIME else 0
        if more <= cells - _line(widths):
            widths[index] += more
    folding = [index for index, kind in enumerate(kinds) if kind is not Kind.TIME]
    for most in ([need.text for need in needs], [need.whole for need in needs]):
        _grow(widths, folding, most, cells)
    return widths


def _grow(widths: list[int], folding: Sequence[int], most: Sequence[int], cells: int) -> None:
    """Widen columns up to their most, the narrowest first, while the line has room."""
    for _ in range(cells - _line(widths)):
        growing = [index for index in folding if widths[index] < most[index]]
        if not growing:
            return
        widths[min(growing, key=lambda index: widths[index])] += 1
