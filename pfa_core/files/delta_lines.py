"""First lines of a delta file, and the format that they show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from pfa_core.files.delta_rows import QUOTED_SEEN, SAVED, is_bare
from pfa_core.files.dialect import (
    TABLES,
    certain_separator,
    named_separator,
    names_separator,
    table_format,
)
from pfa_core.files.reading import decode, read_whole
from pfa_core.model.notation import Notation
from pfa_core.model.spelling import folded

DELTA_FORMATS = ("auto", "json", "jsonl", "csv", "tsv", "xlsx")
_ENCODING = "say which encoding it has, such as `encoding=cp1252`"
_HEADER = "pfaId"  # names a column of every table


class Lines:
    """The lines of an input as text, the first ones looked at before they are taken."""

    def __init__(self, lines: Iterator[bytes], name: str) -> None:
        self._lines, self._name = lines, name
        self._ahead: list[bytes] = []
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        """Take the lines, with their ends."""
        for line in chain(self._taken(), self._lines):
            self._number += 1
            yield decode(line, self._name, self._number, hint=_ENCODING)

    def _taken(self) -> Iterator[bytes]:
        while self._ahead:
            yield self._ahead.pop(0)

    def first_written(self, *, after: int = 0) -> str:
        """Look for the first line with a character, or the one `after` so many.

        Returns:
            The line; '' where there is none.
        """
        place = 0
        while True:
            if place == len(self._ahead):
                line = next(self._lines, None)
                if line is None:
                    return ""
                self._ahead.append(line)
            text = decode(self._ahead[place], self._name, place + 1, hint=_ENCODING)
            place += 1
            if text.strip():
                if not after:
                    return text
                after -= 1

    def whole(self, file: BinaryIO, max_size: int) -> str:
        """Take all of them as one text, of at most `max_size` bytes."""
        first = b"".join(self._ahead)
        self._ahead.clear()
        return decode(read_whole(file, self._name, max_size, first=first, kept=SAVED), self._name)


def delta_dialect(
    path: str, lines: Lines, given: str, notation: Notation, *, is_wide: bool
) -> tuple[str, str]:
    """Return the format, and the separator of a CSV."""
    first = lines.first_written()
    if named := named_separator(first):
        return "csv", notation.separator or named
    chosen = _guess(path, first) if given == "auto" else given
    if chosen not in TABLES and given == "auto" and not notation.separator:
        return chosen, ""
    if notation.separator:
        return "csv", notation.separator
    if chosen == "tsv":
        # Spreadsheets quote cells between tabs, pfa escapes them.
        is_quoted = is_wide or QUOTED_SEEN in lines.first_written(after=1)
        return ("csv", "\t") if is_quoted else ("tsv", "")
    return "csv", certain_separator(first, _HEADER)


def _guess(path: str, first: str) -> str:
    """Return the format by the end of the file's name, else by its first line."""
    end = path.lower().removesuffix(".gz").rpartition(".")[2]
    if end in DELTA_FORMATS[1:]:
        return end
    first = first.lstrip().partition("\n")[0]
    if first.startswith(("{", "[")):
        return "json"
    if is_bare(first):
        return "tsv"
    if names_separator(first):
        return "csv"
    return table_format(first) if folded("pfaId") in folded(first) else "json"
