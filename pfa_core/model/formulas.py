"""The apostrophe that keeps a spreadsheet from running a cell as a formula."""

from __future__ import annotations

import re

GUARD = "'"
# What one program or another ends a line at: a text with one may be cut into rows there.
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
# A spreadsheet evaluates a cell that begins so, in full-width forms too.
_SIGNS = "=+\\-@\t\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(f"'*[{_SIGNS}\r\n]")
_LOOKS_GUARDED = re.compile(f"'+[{_SIGNS}\r\n]")
_NUMBER = re.compile(r"-\d+(\.\d+)?", re.ASCII)
# The places of lines after the first that begin so, that begin so with a guard, and their guards.
_FORMULA_LINES = re.compile(f"(?<=[{LINE_ENDS}])(?='*[{_SIGNS}])")
_GUARDED_LINES = re.compile(f"(?<=[{LINE_ENDS}])(?='+[{_SIGNS}])")
_GUARDS = re.compile(f"(?<=[{LINE_ENDS}])'(?='*[{_SIGNS}])")


def guarded(text: str) -> str:
    """Prefix an apostrophe to each line that a spreadsheet would evaluate.

    What could be taken for a guarded text gets one too. A negative number is not a formula and stays as it is.
    """
    return _first_guarded(_FORMULA_LINES.sub(GUARD, text))


def distinct(text: str) -> str:
    """Prefix an apostrophe where a line of a text could be taken for a guarded one."""
    text = _GUARDED_LINES.sub(GUARD, text)
    return GUARD + text if _LOOKS_GUARDED.match(text) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that `guarded` or `distinct` wrote.

    Any other cell is its own text.
    """
    cell = _GUARDS.sub("", cell)
    text = cell.removeprefix(GUARD)
    return text if text != cell and _first_guarded(text) == cell else cell


def _first_guarded(text: str) -> str:
    return GUARD + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
