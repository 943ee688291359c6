"""Tables of text (.csv, .tsv) that spreadsheets open."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from pfa_core import exact_json
from pfa_core.model.formulas import guarded

if TYPE_CHECKING:
    from pfa_core.files.sheets.columns import Column

# Beyond ASCII, COPY has the bytes of UTF-8.
_COPY = str.maketrans({
    "\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\v": r"\v", "\f": r"\f",
    "\x1c": r"\x1c", "\x1d": r"\x1d", "\x1e": r"\x1e",
    "\x85": r"\xc2\x85", "\u2028": r"\xe2\x80\xa8", "\u2029": r"\xe2\x80\xa9",
})  # fmt: skip
# Without it a spreadsheet takes UTF-8 for the encoding of its country.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The writer quotes a cell with a character of its line end, which is cut off again.
_LINE_ENDS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"


class CsvWriter:
    """Rows as CSV in UTF-8 with a byte order mark; no text runs as a formula."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        """Write the header."""
        self._file = file
        self._line = io.StringIO()
        self._csv = csv.writer(self._line, lineterminator=_LINE_ENDS)
        file.write(_BYTE_ORDER_MARK)
        self.write([column.name for column in columns])

    def write(self, values: Sequence[Any]) -> None:
        """Write the values of one row."""
        self._line.seek(0)
        self._line.truncate()
        self._csv.writerow([guarded(cell_text(value)) for value in values])
        self._file.write(f"{self._line.getvalue()[: -len(_LINE_ENDS)]}\n".encode())


class TsvWriter:
    """Rows as `pfa list -o tsv --header` writes them."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        """Write the header."""
        self._file = file
        self.write([column.name for column in columns])

    def write(self, values: Sequence[Any]) -> None:
        """Write the values of one row."""
        cells = (cell_text(value).translate(_COPY) for value in values)
        self._file.write(("\t".join(cells) + "\n").encode())


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell: null is empty, numbers keep their digits."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, int) else exact_json.dumps(value)
