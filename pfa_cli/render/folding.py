"""Lines of a text within a width, without the loss of a character."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from pfa_cli.render.cells import Measure, clusters

# A number or a date, which no line end may part; a name with digits such as HOLNG-000123 is not one. Bounded: a row
# that ends in a letter would be tried to its end from each of its parts.
ATOM = re.compile(r"(?<![\w.,-])[+-]?\d(?:[\d.,:/T-]{0,80}\d)?(?:Z\b|\b)")
# Where a word may end a line if it has to: behind these; at worst before a capital of camelCase.
_SEAMS = re.compile(r"(?<=[/=,;&-])")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def fold(text: str, cells: int, measure: Measure) -> list[str]:
    """Break a text at blanks, else at seams of a word, else where the width ends.

    Joined, the lines hold every character of the text but the blanks at their ends. A single character that
    is wider than the width stands on a line of its own.
    """
    if measure(text) <= cells:
        return [text]
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, cells, measure):
        if line and measure(line + piece.rstrip()) > cells:
            lines.append(line.rstrip())
            line = ""
            piece = piece.lstrip()
        elif not line and measure(piece.rstrip()) > cells:
            piece = piece.lstrip()
        line += piece
    if line.strip() or not lines:
        lines.append(line.rstrip())
    return lines


def words_width(text: str, measure: Measure) -> int:
    """Measure the widest part of a text between blanks and seams."""
    parts = (part for word in text.split() for part in _parts(word, _SEAMS))
    return max(map(measure, parts), default=0)


def header_width(name: str, measure: Measure) -> int:
    """Measure the widest part of a column's name: `forecastStart` folds to two lines."""
    parts = (part for word in name.split() for part in _parts(word, _HUMPS))
    return max(map(measure, parts), default=0)


def atoms_width(text: str, measure: Measure) -> int:
    """Measure the widest number or date in a text."""
    if not any(map(str.isdigit, text)):
        return 0
    return max((measure(found) for found in ATOM.findall(text)), default=0)


def _pieces(text: str, cells: int, measure: Measure) -> list[str]:
    """Split a text at blanks, and wider words at their seams, then anywhere."""
    pieces: list[str] = []
    for word in re.findall(r"\s*\S+|\s+$", text):
        if measure(word.strip()) <= cells:
            pieces.append(word)
            continue
        for part in _parts(word, _SEAMS):
            pieces += (
                [part] if measure(part.strip()) <= cells else _cut_at_humps(part, cells, measure)
            )
    return pieces


def _cut_at_humps(part: str, cells: int, measure: Measure) -> list[str]:
    pieces: list[str] = []
    for hump in _parts(part, _HUMPS):
        pieces += [hump] if measure(hump.strip()) <= cells else _cut(hump, cells, measure)
    return pieces


def _parts(word: str, seams: re.Pattern[str]) -> Sequence[str]:
    """Split a word at its seams and around its numbers and dates, never within one."""
    kept = [match.span() for match in ATOM.finditer(word)]
    places = {match.start() for match in seams.finditer(word)}
    places.update(edge for span in kept for edge in span)
    ends = sorted(
        place
        for place in places
        if 0 < place < len(word) and not any(begin < place < end for begin, end in kept)
    )
    return [word[start:end] for start, end in pairwise([0, *ends, len(word)])]


def _cut(part: str, cells: int, measure: Measure) -> list[str]:
    pieces: list[str] = []
    line = ""
    for cluster in clusters(part):
        if line and measure(line + cluster) > cells:
            pieces.append(line)
            line = ""
        line += cluster
    return [*pieces, line]
