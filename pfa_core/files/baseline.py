"""Baseline files: JSON, JSONL, CSV, TSV and saved PEMS grid answers → raw records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO, Protocol

from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.exact_json import JsonFault, loads_line, loads_strict
from pfa_core.files.dialect import (
    STORED,
    TABLES,
    Table,
    certain_separator,
    named_separator,
    refuse_foreign_content,
    table_format,
)
from pfa_core.files.own_values import fault_of_element, refuse_sheet, row_check
from pfa_core.files.reading import (
    MAX_SIZE,
    decode,
    head_of,
    open_input,
    read_lines,
    read_whole,
    require_size,
    source_name,
)
from pfa_core.files.recoding import as_utf8
from pfa_core.model.spelling import folded
from pfa_core.model.values import shorten

# The columns of `pfa list -o csv` and `-o tsv` that are not fields of a record.
OWN_COLUMNS = frozenset(("syncState", "sessionId", "version", "modifiedAt", "modifiedBy"))
CheckHeader = Callable[[Sequence[str], str], None]
FORMATS = ("auto", "json", "jsonl", *TABLES, "grid")
# Tabs are those of TSV, whose cells are escaped and not quoted: its format has to be given.
_SEPARATORS = (";", "|")
_WORKBOOK = (
    "pfa sync pull reads no workbook: save its sheet as CSV; changes in it: pfa draft save FILE"
)
_OWN = frozenset(map(folded, OWN_COLUMNS))
_ENDINGS = {(".csv",): "csv", (".tsv", ".tab"): "tsv", (".jsonl", ".ndjson"): "jsonl"}


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as a file has it, with its position; `textual`: every value is text.

    `json` is the line that it was read from, where that is all of it; else empty.
    """

    value: Any
    position: str
    textual: bool = False
    json: str = ""


@dataclass(frozen=True, slots=True)
class GridAnswer:
    """A saved answer of the PEMS grid, for the grid decoder."""

    content: Any


@dataclass(frozen=True, slots=True)
class Unchanged:
    """So many lines that were recognized and not read."""

    number: int


class Recognizer(Protocol):
    """What finds lines that need not be read."""

    def unread(
        self, lines: Iterable[bytes], table: Sequence[object] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the others, each with its number from 1.

        An empty one stands for those that need not, with how many they are.

        Args:
            table: What decides how the rows of a table are read, whose lines after the header these are.
        """
        ...

    def forget_line(self) -> None:
        """Let the line that was yielded last be none that need not be read later."""
        ...


@dataclass
class Leftovers:
    """Rows without a value, and columns without a name and a value."""

    rows: int = 0
    columns: int = 0

    def clear(self) -> None:
        """Count anew: the files are read again."""
        self.rows = self.columns = 0


def read_baseline(
    path: str,
    file_format: str = "auto",
    *,
    content: BinaryIO | None = None,
    nulls: Collection[str] = (),
    leftovers: Leftovers | None = None,
    check_header: CheckHeader | None = None,
    max_size: int = MAX_SIZE,
    keys: Sequence[str] = ("pfaId",),
    recognizer: Recognizer | None = None,
) -> Iterator[RawRecord | Fault | GridAnswer | Unchanged]:
    """Read the records of one file in order; an invalid line becomes a fault.

    So does one of pfa's own list that shows a user's modifications.

    JSONL, CSV and TSV are read line by line; JSON and grid answers whole. UTF-16 is read where its first bytes show
    it, a CSV with other separators where its first line names one, or its header has the key by one alone.

    Args:
        nulls: Texts that a cell of a table holds in place of nothing.
        leftovers: Counts what is passed over.
        check_header: Called with the columns of a table and the file's name; may refuse them.
        max_size: Bytes, unpacked, that a line or a JSON document may have.
        keys: The names that the column of the key may have.
        recognizer: Finds lines of JSONL, CSV and TSV that need not be read.

    Raises:
        NotFound, IoFailure: The file is missing or cannot be read.
        InvalidData: It is not text in UTF-8 or UTF-16, or as a whole not of its format, or larger than `max_size`;
            or a sheet for editing.
        InvalidRequest: An unknown format, or `nulls` for a file that is not a table.
    """
    if file_format not in FORMATS:
        raise InvalidRequest(f"unknown format {file_format!r}; formats are {', '.join(FORMATS)}")
    require_size(max_size)
    name = source_name(path)
    with open_input(path, content) as file:
        file, _ = as_utf8(file, head_of(file), name, "", kept=STORED)
        refuse_foreign_content(head_of(file), name, workbook=_WORKBOOK)
        lines = read_lines(file, name, max_size)
        first = next(lines, b"")
        if not first:
            raise InvalidData(f"{name} is empty, nothing was stored")
        chosen = _guess(path, first) if file_format == "auto" else file_format
        if chosen in TABLES:
            separator = _separator(decode(first, name, 1), keys) if chosen == "csv" else ","
            given = _TableLines(first, lines, name)
            table = Table(given, name, chosen, nulls=nulls, separator=separator, passing=given)
            refuse_sheet(table.columns, name)
            if check_header:
                check_header(table.columns, name)
            if recognizer:
                given.recognize(recognizer, [chosen, separator, sorted(nulls), table.header])
            yield from _table_records(table, name, leftovers or Leftovers(), keys)
            return
        if nulls:
            raise InvalidRequest(f"nulls are of CSV and TSV, {name} is JSON")
        if chosen == "jsonl":
            whole = chain([first], lines)
            numbered = recognizer.unread(whole) if recognizer else enumerate(whole, 1)
            yield from _jsonl_records(numbered, name)
        else:
            whole = read_whole(file, name, max_size, first=first)
            yield from _json_records(decode(whole, name), name, chosen)


def _guess(path: str, first: bytes) -> str:
    lowered = path.lower().removesuffix(".gz")
    for endings, named in _ENDINGS.items():
        if lowered.endswith(endings):
            return named
    text = first.decode("utf-8-sig", "replace").strip()
    by_name = lowered.endswith(".json")
    if text.startswith("{") and text.endswith("}") and not _is_whole(text, by_name=by_name):
        return "jsonl"
    if text[:1] in ("{", "[", "") or by_name:
        return "json"
    return table_format(first.decode("utf-8-sig", "replace"))


def _separator(first: str, keys: Sequence[str]) -> str:
    """Return what separates the columns of a CSV, by its first line.

    It is a comma where nothing else is certain.
    """
    named = named_separator(first)
    found = [named] if named else [certain_separator(first, key) for key in keys]
    return next((one for one in found if one in _SEPARATORS), ",")


def _is_whole(line: str, *, by_name: bool) -> bool:
    """Return whether the first line of a file is all of it, not its first record.

    A file with a name in `.json` is JSON unless it begins with a record.
    """
    try:
        value = loads_strict(line)
    except JsonFault:
        return False
    wraps = isinstance(value, dict) and (_is_answer(value) or isinstance(value.get("data"), list))
    return wraps or (by_name and "pfaId" not in value and "syncState" not in value)


def _is_answer(value: Any) -> bool:
    return isinstance(value, dict) and ("Result" in value or "ErrorAlert" in value)


def _jsonl_records(
    lines: Iterable[tuple[int, bytes]], name: str
) -> Iterator[RawRecord | Fault | Unchanged]:
    for number, line in lines:
        if not line:
            yield Unchanged(number)
        elif line.strip():
            position = f"{name} line {number}"
            try:
                text = decode(line, name, number)
                value = loads_line(text)
                yield _record(value, position, text.rstrip())
            except InvalidData as error:
                yield Fault("", "", FaultCode.INVALID_ENCODING, error.message, position=position)
            except JsonFault as fault:
                place = f"column {fault.column}: " if fault.column else ""
                yield Fault(
                    "", "", FaultCode.INVALID_JSON, f"{place}{fault.reason}", position=position
                )


def _json_records(text: str, name: str, chosen: str) -> Iterator[RawRecord | Fault | GridAnswer]:
    if not text.strip():
        raise InvalidData(f"{name} is empty, nothing was stored")
    try:
        value = loads_strict(text)
    except JsonFault as fault:
        raise InvalidData(f"{name}: {fault}; nothing was stored") from None
    if chosen == "grid" or _is_answer(value):
        yield GridAnswer(value)
        return
    records = value if isinstance(value, list) else _inner_list(value, name)
    for number, record in enumerate(records, 1):
        yield _record(record, f"{name} record {number}")


def _inner_list(value: Any, name: str) -> list[Any]:
    """Return the records of `{"data": […]}` of `pfa list -o json`, or a bare record."""
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        return value["data"]
    if isinstance(value, Mapping) and "pfaId" in value:
        return [value]
    raise InvalidData(
        f"{name} must hold a list of records, not {shorten(value)}; nothing was stored"
    )


def _record(value: Any, position: str, line: str = "") -> RawRecord | Fault:
    """Return a record, also that inside an element of pfa's own list.

    An element with a user's modifications is a fault.
    """
    if not isinstance(value, dict):
        return RawRecord(value, position, json=line)
    fault = fault_of_element(value, position)
    if fault:
        return fault
    if "syncState" in value and isinstance(value.get("data"), dict):
        return RawRecord(value["data"], position)
    return RawRecord(value, position, json=line)


class _TableLines:
    """The lines of a table as text, without rows that were recognized.

    A row is recognized by its line where that is all of it. Whether a line begins a row is known to the reader of
    the table alone: within quotes a line goes on with the row of the one before.
    """

    def __init__(self, first: bytes, rest: Iterator[bytes], name: str) -> None:
        self._rest, self._name, self._number = chain([first], rest), name, 0
        self._recognizer: Recognizer | None = None
        self._unread: Iterator[tuple[int, bytes]] | None = None
        self._begins, self._passed = False, 0
        self._is_cut = False  # by carriage returns: it is not known which line begins a row

    def recognize(self, recognizer: Recognizer, table: Sequence[object]) -> None:
        """Pass over rows from here on; `table` decides how they are read."""
        self._recognizer = recognizer
        if not self._is_cut:
            self._unread = recognizer.unread(self._rest, table)

    def begin_row(self) -> None:
        """Note that the next line begins a row."""
        self._begins = True

    def passed(self) -> int:
        """Return how many rows the last line stands for; 0 for one of the file."""
        passed, self._passed = self._passed, 0
        return passed

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._begins and self._unread is not None:
            self._begins = False
            number, line = next(self._unread)
            if not line:
                self._passed = number
                self._number += number
                return ""
        else:
            line = next(self._rest)
            self._forget()
        if b"\r" in line and b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
            self._is_cut, self._unread = True, None
            self._forget()
        self._number += 1
        return decode(line, self._name, self._number)

    def _forget(self) -> None:
        if self._recognizer:
            self._recognizer.forget_line()


def _table_records(
    table: Table, name: str, leftovers: Leftovers, keys: Sequence[str]
) -> Iterator[RawRecord | Fault | Unchanged]:
    leftovers.columns += table.empty_columns
    columns, places = table.columns, _places_of_record(table.columns)
    check = row_check(columns, keys)
    try:
        for row in table.rows():
            position = f"{name} line {row.line}"
            if row.passed:
                yield Unchanged(row.passed)
            elif row.fault:
                yield Fault("", "", row.code, row.fault, position=position)
            elif check and (fault := check(row.cells, position)):
                yield fault
            elif len(places) == len(columns):
                yield RawRecord(dict(zip(columns, row.cells, strict=True)), position, textual=True)
            else:
                cells = {columns[place]: row.cells[place] for place in places}
                yield RawRecord(cells, position, textual=True)
    finally:
        leftovers.rows += table.empty_rows


def _places_of_record(columns: Sequence[str]) -> Sequence[int]:
    """Return the places of the columns that pfa's own tables do not add."""
    names = [folded(column) for column in columns]
    own = _OWN if {*names} >= _OWN else frozenset[str]()
    return [place for place, column in enumerate(names) if column not in own]
