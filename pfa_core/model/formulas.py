"""The apostrophe that keeps a spreadsheet from running a cell as a formula."""

from __future__ import annotations

import re

GUARD = "'"
# A spreadsheet evaluates a cell that begins so, in full-width forms too.
_BEGINS = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(f"'*{_BEGINS}")
_LOOKS_GUARDED = re.compile(f"'+{_BEGINS}")
_NUMBER = re.compile(r"-\d+(\.\d+)?", re.ASCII)


def guarded(text: str) -> str:
    """Prefix an apostrophe to what a spreadsheet would evaluate.

    What could be taken for a guarded text gets one too. A negative number is not a formula and stays as it is.
    """
    return GUARD + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def distinct(text: str) -> str:
    """Prefix an apostrophe where a text could be taken for a guarded one."""
    return GUARD + text if _LOOKS_GUARDED.match(text) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that `guarded` or `distinct` wrote.

    Any other cell is its own text.
    """
    text = cell.removeprefix(GUARD)
    return text if text != cell and guarded(text) == cell else cell
