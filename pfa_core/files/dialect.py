"""Tables as text, CSV with commas or TSV as `pfa list` writes it.

Leftovers of spreadsheets are passed over: rows without a value, columns without a name and without a value.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from pfa_core.errors import FaultCode, InvalidData
from pfa_core.exact_json import JsonFault, refuse_texts
from pfa_core.model.formulas import GUARD, unguarded
from pfa_core.model.spelling import folded

TABLES = ("csv", "tsv")
STORED = "nothing was stored"
HEAD_BYTES = 4096  # of a file, enough to know what it is

_SEPARATORS = {"\t": "tabs", ";": "';'", "|": "'|'"}
_ESCAPE = re.compile(r"((?:\\x[0-9A-Fa-f]{2})+)|\\(.?)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "v": "\v", "f": "\f", "\\": "\\"}
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_SEPARATOR_LINE = ["sep=", ""]  # Excel's first line of a CSV may name the separator
_SAVE = "save it as CSV (UTF-8, with commas)"
_SIGNATURES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _SAVE),
    (b"%PDF-", "a PDF", _SAVE),
    (b"\xfd7zXZ\0", "compressed by xz", "xz -d FILE"),
    (b"BZh", "compressed by bzip2", "bunzip2 FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -d FILE"),
)


def refuse_foreign_content(
    head: bytes, name: str, *, kept: str = STORED, workbook: str = ""
) -> None:
    """Refuse content that is not text in UTF-8, under the name of what it is.

    Args:
        head: The first bytes of the content, up to `HEAD_BYTES`.
        kept: What is said of the effect, as in "nothing was stored".
        workbook: What to do with a workbook; empty: save it as CSV.

    Raises:
        InvalidData: A workbook, a PDF, another compression than gzip, UTF-16 or UTF-32, a web page.
    """
    found = _foreign(head[:HEAD_BYTES])
    if found:
        what, hint = found
        hint = workbook if workbook and hint == _SAVE and what != "a PDF" else hint
        # Markup is text; that it is not JSON or a table either is all that is wrong with it.
        wanted = "a list of records" if what in ("XML", "a web page") else "text in UTF-8"
        raise InvalidData(f"{name} is {what}, not {wanted}; {kept}", hint=hint)


def _foreign(head: bytes) -> tuple[str, str] | None:
    """Return what the content is and what to do with it; None for text."""
    for signature, what, hint in _SIGNATURES:
        if head.startswith(signature):
            return what, hint
    if head.startswith(b"PK\x03\x04"):
        return _archive(head), _SAVE
    encoding = wide_encoding(head)
    if encoding:
        return encoding, f"iconv -f {encoding} -t UTF-8 FILE > NEW"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return ("XML" if start.startswith(b"<?xml") else "a web page"), ""
    return None


def _archive(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return "an Excel workbook (.xlsx)"
    if b"opendocument.spreadsheet" in head:
        return "an OpenDocument spreadsheet (.ods)"
    return "a ZIP archive"


def wide_encoding(head: bytes) -> str:
    """Return UTF-16 or UTF-32 where the content has its byte order mark or its zeros."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    # Without a mark: every other byte of the first ASCII letters is zero.
    first = head[:8]
    for start, encoding in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        if len(first) == 8 and not any(first[start::2]) and all(first[1 - start :: 2]):
            return encoding
    return ""


def table_format(first_line: str) -> str:
    """Return `tsv` for a header line that tabs separate, else `csv`."""
    cells = first_line.rstrip("\r\n").split("\t")
    if len(cells) == 1:
        return "csv"
    return "tsv" if "," not in first_line or "pfaId" in cells else "csv"


def named_separator(line: str) -> str:
    """Return the separator of Excel's first line, `sep=;`; empty for another line."""
    text = line.rstrip("\r\n")
    return text[4:] if names_separator(text) and text[4:] in (",", *_SEPARATORS) else ""


def certain_separator(header: str, name: str) -> str:
    """Return the separator by which alone a header has this column; else a comma."""
    wanted = folded(name)
    found = [each for each in (",", *_SEPARATORS) if wanted in map(folded, _cells_of(header, each))]
    return found[0] if len(found) == 1 else ","


def _cells_of(header: str, separator: str) -> list[str]:
    first = header.lstrip("\r\n").partition("\r")[0]
    try:
        cells = next(csv.reader([first], delimiter=separator), [])
    except csv.Error:
        return []
    return cells


class Row(NamedTuple):
    """One row of a table.

    Args:
        line: The number of its last line.
        cells: A text for each of the table's columns.
        fault: Why the row is refused; empty for an accepted one. `code` is its kind.
        passed: So many rows that need not be read, in place of one.
    """

    line: int
    cells: Sequence[str]
    fault: str = ""
    code: FaultCode = FaultCode.INVALID_CSV
    passed: int = 0


class Passing(Protocol):
    """Lines of a table, some of which are rows that need not be read.

    In their place an empty one comes, which no file has.
    """

    def __iter__(self) -> Iterator[str]: ...

    def begin_row(self) -> None:
        """Note that the next line begins a row."""
        ...

    def passed(self) -> int:
        """Return how many rows the last line stands for; 0 for one of the file."""
        ...


class Table:
    """The rows of a CSV or TSV by the names of its header.

    CSV quotes as RFC 4180 says, a carriage return alone ends a line of it, and its cells lose the guards of
    `--csv-safe`; TSV has no quotes, and writes
    a tab, a line end and a backslash as `\\t`, `\\n`, `\\r` and `\\\\`, other line ends as COPY reads them:
    `\\v`, `\\f`, or `\\x` before each byte.

    Args:
        nulls: Texts that a cell holds in place of nothing, such as NULL.
        null: What such a cell is read as.
        kept: What is said of the effect, as in "nothing was stored".
        separator: The character between the columns of a CSV.
        passing: The lines, where some of them are passed over.
        header: The cells of the header; `columns`: its names, without the columns that have none; `places`: where
            they are, from 0.
        number: That of the row that was read last, with the header and empty ones.
        empty_rows: The rows passed over so far, `empty_columns` the columns.

    Raises:
        InvalidData: The table is empty, a column is listed twice, the columns are separated by something else.
    """

    def __init__(
        self,
        lines: Iterable[str],
        name: str,
        dialect: str = "csv",
        *,
        nulls: Collection[str] = (),
        null: str = "",
        kept: str = STORED,
        separator: str = ",",
        passing: Passing | None = None,
    ) -> None:
        self._name, self._kept, self._nulls = name, kept, dict.fromkeys(nulls, null)
        self._tsv = _TsvCells(lines, self._nulls) if dialect == "tsv" else None
        self._source = self._tsv or csv.reader(_by_any_end(lines), strict=True, delimiter=separator)
        self._dialect, self._separator = dialect, separator
        self.empty_rows = self.number = 0
        self._passing, self._passed = passing, 0
        self.header: Sequence[str] = self._header()
        header = self.header
        self._width = len(header)
        self._named = [place for place, text in enumerate(header) if text.strip()]
        self._plain = len(self._named) == self._width
        self.columns = tuple(header[place] for place in self._named)
        self.places: Sequence[int] = self._named
        self.empty_columns = self._width - len(self._named)
        if len(set(self.columns)) != len(self.columns):
            twice = next(text for text in self.columns if self.columns.count(text) > 1)
            raise self._invalid(f": the column {twice!r} is listed twice in the header")

    def rows(self) -> Iterator[Row]:
        """Yield the rows that have a value, in order; a row of another width has a fault.

        Raises:
            InvalidData: A quotation does not end: the rest of the table cannot be read.
        """
        is_simple = self._plain and not self._nulls and not self._tsv
        passing = self._passing
        try:
            if passing:
                passing.begin_row()
            for cells in self._source:
                if passing:
                    passing.begin_row()
                    if passed := passing.passed():
                        self.number += passed
                        self._passed += passed - 1  # the source has counted one line
                        yield Row(self._line, (), passed=passed)
                        continue
                self.number += 1
                text = "".join(cells)
                if not text or text.isspace():
                    self.empty_rows += 1
                elif (
                    is_simple
                    and len(cells) == self._width
                    and text.isascii()
                    and "\0" not in text
                    and GUARD not in text
                ):
                    yield Row(self._line, cells)
                else:
                    yield self._row(cells)
        except csv.Error as error:
            raise self._invalid(f" line {self._line}: {error}") from None

    @property
    def _line(self) -> int:
        """Return the number of the line that was read last."""
        return self._source.line_num + self._passed

    def _row(self, cells: list[str]) -> Row:
        line = self._line
        if len(cells) != self._width:
            cells = self._without_empty_end(cells)
            if len(cells) != self._width:
                return Row(line, (), f"has {len(cells)} cells, the header {self._width}")
        fault = self._tsv.fault if self._tsv else ""
        try:
            refuse_texts(cells)
        except JsonFault as unstorable:
            return Row(line, cells, unstorable.reason, FaultCode.INVALID_TYPE)
        if not self._plain:
            for place, cell in enumerate(cells):
                if cell.strip() and place not in self._named:
                    fault = f"has a value in column {place + 1}, which has no name"
            cells = [cells[place] for place in self._named]
        if self._tsv is None and (self._nulls or GUARD in "".join(cells)):
            cells = [self._nulls.get(cell, unguarded(cell)) for cell in cells]
        return Row(line, cells, fault)

    def _without_empty_end(self, cells: list[str]) -> list[str]:
        """Remove the cells without a value after the last column of the header."""
        more = cells[self._width :]
        return cells[: self._width] if more and not any(map(str.strip, more)) else cells

    def _header(self) -> list[str]:
        try:
            header = next(self._source, None)
            while header is not None and _names_nothing(header):
                # A spreadsheet does not show the line that names the separator.
                is_row = not _is_separator_line(header)
                self.number += is_row
                self.empty_rows += is_row
                header = next(self._source, None)
            self.number += 1
        except csv.Error as error:
            raise self._invalid(f" line {self._source.line_num}: {error}") from None
        if header is None:
            raise self._invalid(" is empty")
        self._refuse_separator(header)
        try:
            refuse_texts(header)
        except JsonFault as fault:
            raise self._invalid(f" line {self._source.line_num}: {fault.reason}") from None
        return header

    def _refuse_separator(self, header: list[str]) -> None:
        """Refuse a header that is one name for every column, or begins so."""
        for separator, written in _SEPARATORS.items():
            if separator in header[0] and separator != self._separator:
                hint = "give --format tsv" if separator == "\t" else _SAVE
                usual = "','" if self._dialect == "csv" else "tabs"
                said = f": its columns are separated by {written}, not by {usual}"
                raise self._invalid(said, hint)

    def _invalid(self, reason: str, hint: str = "") -> InvalidData:
        return InvalidData(f"{self._name}{reason}; {self._kept}", hint=hint)


def names_separator(line: str) -> bool:
    """Return whether a line is Excel's that names the separator of those below."""
    return line.removeprefix("\ufeff")[:4].lower() == "sep="


def _by_any_end(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that line feeds end, cut where a carriage return ends one."""
    for line in lines:
        if "\r" not in line or "\r" not in line.rstrip("\r\n"):
            yield line
        else:
            yield from _LINE.findall(line)


def _names_nothing(header: list[str]) -> bool:
    return _is_separator_line(header) or not any(map(str.strip, header))


def _is_separator_line(header: list[str]) -> bool:
    return [header[0].lower() if header else "", *header[1:]] == _SEPARATOR_LINE


def _of_bytes(escapes: str) -> str | None:
    r"""Return the text of bytes such as \xc2\x85; None where they are not UTF-8."""
    with suppress(UnicodeDecodeError):
        return bytes.fromhex(escapes.replace(r"\x", "")).decode()
    return None


class _TsvCells:
    """Rows of cells between tabs; `fault`: the row has an unknown escape."""

    def __init__(self, lines: Iterable[str], nulls: Mapping[str, str]) -> None:
        self._lines, self._nulls = iter(lines), nulls
        self.line_num, self.fault = 0, ""

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines)
        self.line_num += 1
        self.fault = ""
        cells = line.rstrip("\n").removesuffix("\r").split("\t")
        if not self._nulls and "\\" not in line:
            return cells
        return [self._text(cell) for cell in cells]

    def _text(self, cell: str) -> str:
        null = self._nulls.get(cell)
        return _ESCAPE.sub(self._character, cell) if null is None else null

    def _character(self, match: re.Match[str]) -> str:
        found = _of_bytes(match[1]) if match[1] else _ESCAPED.get(match[2])
        if found is None:
            self.fault = rf"has the unknown escape {match[0]}; a backslash is written \\"
            return match[0]
        return found
