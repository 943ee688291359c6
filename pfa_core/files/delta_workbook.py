"""Workbooks as modifications."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO

from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.cell_reader import NULL, CellReader, is_blank, plain_cell
from pfa_core.files.delta_rows import SAVED, Item, RowReader
from pfa_core.model.notation import Notation
from pfa_core.model.seen import letters_of

_SIGNATURE = b"PK\x03\x04"
_ENDS = (".xlsx", ".xlsm")
# A workbook may unpack to so many times what a line may have: its XML has some words around each value.
LINES_OF_WORKBOOK = 8


def is_workbook(head: bytes, path: str) -> bool:
    """Return whether content is a workbook's.

    It begins as a ZIP archive, and its name or its first bytes say the rest.
    """
    if not head.startswith(_SIGNATURE):
        return False
    return path.lower().endswith(_ENDS) or b"[Content_Types].xml" in head or b"xl/" in head


class WorkbookTable:
    """The rows of a workbook's sheet as modifications.

    Args:
        nulls: Texts that stand for null, such as NULL.
        notation: What is said of the sheet, and of numbers and dates that are texts.
        max_size: Bytes of a line; the workbook may unpack to eight times as many.

    Raises:
        ConfigInvalid: The package for it is not installed.
        InvalidData: It is damaged, has no such sheet, or no header that names pfaId.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        nulls: Collection[str],
        notation: Notation,
        max_size: int,
    ) -> None:
        from pfa_core.files.sheets.workbook_reader import cell_value, open_workbook

        book = open_workbook(
            file, name, sheet=notation.sheet, max_size=max_size * LINES_OF_WORKBOOK, kept=SAVED
        )
        self._name, self._nulls = name, dict.fromkeys(nulls, NULL)
        self._rows = ((number, list(map(cell_value, cells))) for number, cells in book.rows)
        self.empty_rows = 0
        header = self._header(f"{name}, sheet {book.name!r}")
        self._places = [place for place, text in enumerate(header) if text.strip()]
        self._width = len(header)
        self._reader = CellReader(notation, is_point_usual=False, is_1904=book.is_1904)
        columns = [header[place] for place in self._places]
        self._items = RowReader(columns, self._places, name, self._reader)
        self.empty_columns = self._width - len(self._places)

    def _header(self, what: str) -> list[str]:
        """Return the first row with a value, up to its last name."""
        for _, cells in self._rows:
            if not all(map(is_blank, cells)):
                header = list(map(plain_cell, cells))
                while not header[-1].strip():
                    header.pop()
                return header
            self.empty_rows += 1
        raise InvalidData(f"{what} is empty; {SAVED}")

    def items(self) -> Iterator[Item | Fault]:
        """Yield the modifications in order, and faults by their cells.

        Raises:
            InvalidData: At the end: something can be read in two ways.
        """
        for number, cells in self._rows:
            if all(map(is_blank, cells)):
                self.empty_rows += 1
                continue
            cells += [""] * (self._width - len(cells))
            if fault := self._nameless(cells, number):
                yield fault
            else:
                yield from self._items.items(self._named(cells), number)
        self._reader.refuse_doubts(self._name, SAVED)

    def _named(self, cells: Sequence[Any]) -> list[Any]:
        named = [cells[place] for place in self._places]
        if self._nulls:
            named = [
                self._nulls.get(cell, cell) if isinstance(cell, str) else cell for cell in named
            ]
        return named

    def _nameless(self, cells: Sequence[Any], number: int) -> Fault | None:
        """Return the fault of a value in a column that has no name."""
        for place, cell in enumerate(cells):
            if place not in self._places and not is_blank(cell):
                reason = "has a value in a column that has no name in the header"
                position = f"{letters_of(place)}{number}"
                return Fault("", "", FaultCode.INVALID_CSV, reason, position=position)
        return None
