"""Baseline files: JSON, JSONL, CSV and saved PEMS grid answers → raw records."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.exact_json import JsonFault, loads_strict, refuse_unstorable
from pfa_core.files.reading import decode, open_input, source_name
from pfa_core.model.values import shorten

# The columns of `pfa list -o csv` that are not fields of a record.
OWN_COLUMNS = frozenset(("syncState", "sessionId", "version", "modifiedAt", "modifiedBy"))
FORMATS = ("auto", "json", "jsonl", "csv", "grid")


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as a file has it, with its position; `textual`: every value is text."""

    value: Any
    position: str
    textual: bool = False


@dataclass(frozen=True, slots=True)
class GridAnswer:
    """A saved answer of the PEMS grid, for the grid decoder."""

    content: Any


def read_baseline(
    path: str, file_format: str = "auto", *, content: BinaryIO | None = None
) -> Iterator[RawRecord | Fault | GridAnswer]:
    """Read the records of one file in order; an invalid line becomes a fault.

    JSONL and CSV are read line by line; JSON and grid answers whole.

    Raises:
        NotFound, IoFailure: The file is missing or cannot be read.
        InvalidData: It is not UTF-8, or as a whole not of its format.
    """
    if file_format not in FORMATS:
        raise InvalidRequest(f"unknown format {file_format!r}; formats are {', '.join(FORMATS)}")
    name = source_name(path)
    with open_input(path, content) as file:
        first = file.readline()
        if not first:
            raise InvalidData(f"{name} is empty, nothing was stored")
        chosen = _guess(path, first) if file_format == "auto" else file_format
        if chosen == "csv":
            yield from _csv_records(_lines(first, file, name), name)
        elif chosen == "jsonl":
            yield from _jsonl_records(first, file, name)
        else:
            yield from _json_records(decode(first + file.read(), name), name, chosen)


def _guess(path: str, first: bytes) -> str:
    lowered = path.lower().removesuffix(".gz")
    if lowered.endswith(".csv"):
        return "csv"
    if lowered.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    text = first.decode("utf-8-sig", "replace").strip()
    by_name = lowered.endswith(".json")
    if text.startswith("{") and text.endswith("}") and not _is_whole(text, by_name=by_name):
        return "jsonl"
    return "json" if text[:1] in ("{", "[", "") or by_name else "csv"


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


def _jsonl_records(first: bytes, rest: BinaryIO, name: str) -> Iterator[RawRecord | Fault]:
    number = 0
    line = first
    while line:
        number += 1
        position = f"{name} line {number}"
        if line.strip():
            try:
                yield RawRecord(_bare(loads_strict(decode(line, name, number))), position)
            except InvalidData as error:
                yield Fault("", "", FaultCode.INVALID_ENCODING, error.message, position=position)
            except JsonFault as fault:
                place = f"column {fault.column}: " if fault.column else ""
                yield Fault(
                    "", "", FaultCode.INVALID_JSON, f"{place}{fault.reason}", position=position
                )
        line = rest.readline()


def _json_records(text: str, name: str, chosen: str) -> Iterator[RawRecord | GridAnswer]:
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
        yield RawRecord(_bare(record), f"{name} record {number}")


def _inner_list(value: Any, name: str) -> list[Any]:
    """Return the records of `{"data": […]}` of `pfa list -o json`, or a bare record."""
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        return value["data"]
    if isinstance(value, Mapping) and "pfaId" in value:
        return [value]
    raise InvalidData(
        f"{name} must hold a list of records, not {shorten(value)}; nothing was stored"
    )


def _bare(value: Any) -> Any:
    """Return the record inside an element of pfa's own list."""
    if isinstance(value, dict) and isinstance(value.get("data"), dict) and "syncState" in value:
        return value["data"]
    return value


def _lines(first: bytes, rest: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(chain([first] if first else [], rest), 1):
        yield decode(line, name, number)


def _without_own_columns(cells: dict[str, str]) -> dict[str, str]:
    """Remove the cells that pfa's own CSV adds to a record."""
    if not cells.keys() >= OWN_COLUMNS:
        return cells
    return {name: cell for name, cell in cells.items() if name not in OWN_COLUMNS}


def _csv_records(lines: Iterator[str], name: str) -> Iterator[RawRecord | Fault]:
    reader = csv.reader(lines, strict=True)
    try:
        header = _csv_header(next(reader, None), name)
        for row in reader:
            if row:
                yield _csv_record(header, row, f"{name} line {reader.line_num}")
    except csv.Error as error:
        raise InvalidData(f"{name} line {reader.line_num}: {error}; nothing was stored") from None


def _csv_header(header: list[str] | None, name: str) -> list[str]:
    if not header:
        raise InvalidData(f"{name} is empty, nothing was stored")
    try:
        refuse_unstorable(header)
    except JsonFault as fault:
        raise InvalidData(f"{name} line 1: {fault.reason}; nothing was stored") from None
    if len(set(header)) != len(header):
        raise InvalidData(f"{name}: a column is listed twice in the header; nothing was stored")
    return header


def _csv_record(header: list[str], row: list[str], position: str) -> RawRecord | Fault:
    if len(row) != len(header):
        reason = f"has {len(row)} cells, the header {len(header)}"
        return Fault("", "", FaultCode.INVALID_CSV, reason, position=position)
    try:
        refuse_unstorable(row)
    except JsonFault as fault:
        return Fault("", "", FaultCode.INVALID_TYPE, fault.reason, position=position)
    cells = dict(zip(header, row, strict=True))
    return RawRecord(_without_own_columns(cells), position, textual=True)
