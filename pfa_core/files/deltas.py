"""Delta files as changes: JSON, JSONL, CSV, TSV.

JSON is an object, an array or one modification, read whole; the others are read line by line. Lists that `pfa
list` writes are read too. An invalid file ends the reading; faults of single modifications are collected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.exact_json import JsonFault, loads_strict
from pfa_core.files.delta_bounds import MAX_REASON, MAX_SESSION
from pfa_core.files.delta_lines import DELTA_FORMATS, Lines, delta_dialect
from pfa_core.files.delta_rows import (
    SAVED,
    DeltaTable,
    Item,
    is_listed,
    listed_item,
)
from pfa_core.files.delta_workbook import WorkbookTable, is_workbook
from pfa_core.files.dialect import (
    TABLES,
    refuse_foreign_content,
)
from pfa_core.files.packed import packed
from pfa_core.files.reading import (
    MAX_SIZE,
    head_of,
    open_input,
    read_lines,
    require_size,
    source_name,
)
from pfa_core.files.recoding import as_utf8
from pfa_core.model.delta import Change
from pfa_core.model.keys import invisible_in, normal_key
from pfa_core.model.notation import Notation
from pfa_core.model.record import MAX_ID
from pfa_core.model.seen import SheetRow
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.values import shorten

_FILE_KEYS = ("sessionId", "organization", "modifications")
_CHANGE_KEYS = ("pfaId", "delta", "changeReason", "expectedVersion")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaFile:
    """The changes of a file in its order, and the faults of its single modifications.

    `empty_rows`, `empty_columns`: the number of those of a table that were passed over. Many or large changes are
    kept packed: each access makes them anew.
    """

    changes: Sequence[Change]
    faults: tuple[Fault, ...]
    session_id: str | None
    organization_id: str | None
    source: str
    empty_rows: int = 0
    empty_columns: int = 0


def read_delta_file(
    path: str,
    file_format: str = "auto",
    *,
    stdin: BinaryIO | None = None,
    nulls: Collection[str] = (),
    max_size: int = MAX_SIZE,
    notation: Notation | None = None,
) -> DeltaFile:
    """Read a delta file; `-` is standard input.

    A record of `pfa list` is a modification too: of its values a save takes those that differ. Of a sheet that
    `write_sheet` wrote it takes the edited cells alone, the emptied ones too.

    Args:
        file_format: One of `DELTA_FORMATS`; auto: by the name, else by the first line.
        nulls: Further texts that stand for null in cells of CSV and TSV, such as NULL.
        max_size: Bytes, unpacked, that a line or a JSON document may have; a workbook eight times as many.
        notation: What is said of tables and workbooks: encoding, separator, numbers, dates, sheet. What is not
            said is read where it is certain.

    Raises:
        NotFound, IoFailure: The file is missing or cannot be read.
        InvalidRequest: The format is unknown.
        ConfigInvalid: It is a workbook, and the package for it is not installed.
        InvalidData: It is not UTF-8, not of its format (the message has line and column), of another
            shape, or a line or the document is larger than `max_size`. Numbers or dates can be read in two
            ways; the hint says what to add.
    """
    if file_format not in DELTA_FORMATS:
        formats = ", ".join(DELTA_FORMATS)
        raise InvalidRequest(f"unknown format {file_format!r}; formats are {formats}")
    require_size(max_size)
    name = source_name(path)
    notation = notation or Notation()
    with open_input(path, stdin) as file:
        head = head_of(file)
        if file_format == "xlsx" or (file_format == "auto" and is_workbook(head, path)):
            notation.refuse("separator", "encoding", of="a workbook")
            return _delta_table(WorkbookTable(file, name, nulls, notation, max_size), name)
        file, encoding = as_utf8(file, head, name, notation.encoding, kept=SAVED)
        refuse_foreign_content(head_of(file), name, kept=SAVED)
        lines = Lines(read_lines(file, name, max_size, kept=SAVED), name)
        first = lines.first_written()
        if not first.strip():
            raise InvalidData(f"{name} is empty, {SAVED}")
        chosen, separator = file_format, ""
        if chosen == "auto" or chosen in TABLES:
            chosen, separator = delta_dialect(
                path, lines, chosen, notation, is_wide=encoding != "utf-8"
            )
        if chosen in TABLES:
            notation.refuse("sheet", of="a table of text")
            notation = replace(notation, separator=separator)
            return _delta_table(DeltaTable(lines, name, chosen, nulls, notation), name)
        notation.refuse("decimal", "thousands", "dates", "separator", "sheet", of="JSON")
        # In this order: a document may be one line, which would be parsed twice.
        if lines.first_written(after=1).strip() and _is_object(first):
            items, head = _jsonl_items(lines, name), {}
        else:
            items, head = _json_items(lines.whole(file, max_size), name)
        return _delta_file((_as_item(value, place) for place, value in items), head, name)


def _delta_table(table: DeltaTable | WorkbookTable, name: str) -> DeltaFile:
    read = _delta_file(table.items(), {}, name)
    if not read.changes and not read.faults:
        raise InvalidData(f"{name} holds no modifications; {SAVED}")
    return replace(read, empty_rows=table.empty_rows, empty_columns=table.empty_columns)


def _as_item(value: Any, position: str) -> Item:
    return (
        listed_item(value, position) if is_listed(value) else Item(position=position, value=value)
    )


def _delta_file(items: Iterable[Item | Fault], head: dict[str, Any], name: str) -> DeltaFile:
    faults: list[Fault] = []

    def changes() -> Iterator[Change]:
        for item in items:
            if isinstance(item, Fault):
                faults.append(item)
                continue
            read = read_change(
                item.value,
                item.position,
                item.read_only,
                listed_version=item.listed_version,
                sheet=item.sheet,
            )
            if isinstance(read, Change):
                yield read
            else:
                faults.extend(read)

    read = packed(changes())
    if problem := _head_problem(head, name):
        raise _with_all_faults(problem, head, faults)
    return DeltaFile(
        changes=read,
        faults=tuple(faults),
        session_id=head.get("sessionId"),
        organization_id=head.get("organization"),
        source=name,
    )


def read_change(
    item: Any,
    position: str,
    read_only: Mapping[str, Any] | None = None,
    *,
    listed_version: int | None = None,
    sheet: SheetRow | None = None,
) -> Change | list[Fault]:
    """Read one modification of a file, or return the faults of its outer shape.

    Args:
        read_only: Its values that cannot be edited.
        listed_version: The version that a list showed of the record.
        sheet: The row of a sheet that it is.
    """
    place = sheet.cell("pfaId") if sheet else position
    if not isinstance(item, dict):
        reason = f"must be an object, not {shorten(item)}"
        return [Fault("", "", FaultCode.INVALID_TYPE, reason, position=position)]
    pfa_id = item.get("pfaId")
    pfa_id = normal_key(pfa_id) if isinstance(pfa_id, str) else ""
    if not pfa_id or len(pfa_id) > MAX_ID:
        code = FaultCode.INVALID_TYPE if "pfaId" in item else FaultCode.MISSING_REQUIRED_FIELD
        return [
            Fault("", "pfaId", code, f"must be a text of 1 to {MAX_ID} characters", position=place)
        ]
    invisible = invisible_in(pfa_id)
    if invisible:
        reason = f"holds an invisible character, {invisible}"
        return [Fault(pfa_id, "pfaId", FaultCode.INVALID_TYPE, reason, position=place)]
    if faults := [Fault(pfa_id, *found, position=position) for found in _faults(item)]:
        return faults
    return Change(
        pfa_id,
        item["delta"],
        item.get("changeReason"),
        expected_version=item.get("expectedVersion"),
        position=position,
        read_only=read_only or {},
        listed_version=listed_version,
        sheet=sheet,
    )


_Found = tuple[str, FaultCode, str]  # field, code, message


def _faults(item: Mapping[str, Any]) -> Iterator[_Found]:
    """Find what is wrong with the outer shape of a modification."""
    for key in item:
        if key not in _CHANGE_KEYS:
            known = ", ".join(_CHANGE_KEYS)
            meant = did_you_mean(key, _CHANGE_KEYS)
            reason = f"is not a part of a modification ({known}){meant}"
            yield shorten(key), FaultCode.UNKNOWN_FIELD, reason
    yield from _reason_faults(item.get("changeReason"))
    if not _is_version(item.get("expectedVersion")):
        yield "expectedVersion", FaultCode.INVALID_TYPE, "must be a whole number ≥ 0"
    if "delta" not in item:
        yield "delta", FaultCode.MISSING_REQUIRED_FIELD, "is missing"


def _reason_faults(reason: Any) -> Iterator[_Found]:
    if reason is not None and not isinstance(reason, str):
        yield "changeReason", FaultCode.INVALID_TYPE, "must be a text"
    elif reason is not None and len(reason) > MAX_REASON:
        message = f"has {len(reason):,} characters; at most {MAX_REASON:,}"
        yield "changeReason", FaultCode.INVALID_RANGE, message


def _is_version(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _json_items(text: str, name: str) -> tuple[Iterable[tuple[str, Any]], dict[str, Any]]:
    try:
        value = loads_strict(text)
    except JsonFault as fault:
        raise InvalidData(f"{name}: {fault}; nothing was saved") from None
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return _numbered(value["data"], name, "record"), {}
    if isinstance(value, dict) and "modifications" in value:
        try:
            return _numbered(value["modifications"], name), value
        except InvalidData as first:
            raise _with_all_faults(_head_problem(value, name) or first, value) from None
    if isinstance(value, dict):
        return [("modification 1", value)], {}
    return _numbered(value, name), {}


def _numbered(value: Any, name: str, noun: str = "modification") -> list[tuple[str, Any]]:
    if not isinstance(value, list):
        raise InvalidData(
            f"{name} must hold a list of modifications, not {shorten(value)}; nothing was saved"
        )
    if not value:
        raise InvalidData(f"{name} holds no modifications; nothing was saved")
    return [(f"{noun} {number}", item) for number, item in enumerate(value, 1)]


def _is_object(line: str) -> bool:
    """Return whether a line is a JSON object."""
    try:
        return isinstance(loads_strict(line), dict)
    except JsonFault:
        return False


def _jsonl_items(lines: Iterable[str], name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", loads_strict(line)
        except JsonFault as fault:
            place = f"line {number} column {fault.column}" if fault.column else f"line {number}"
            raise InvalidData(f"{name}: {place}: {fault.reason}; nothing was saved") from None


def _head_problem(head: Mapping[str, Any], name: str) -> InvalidData | None:
    """Find the first fault of what a file says beside its modifications."""
    unknown = [key for key in head if key not in _FILE_KEYS]
    if unknown:
        return InvalidData(
            f"{name} has the unknown key {shorten(unknown[0])}; nothing was saved",
            hint=f"known: {', '.join(_FILE_KEYS)}",
        )
    for key in ("sessionId", "organization"):
        if not _is_short_text(head.get(key)):
            return InvalidData(
                f"{name}: {key} must be a text of 1 to {MAX_SESSION} characters; nothing was saved"
            )
    return None


def _is_short_text(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_SESSION


def _with_all_faults(
    first: InvalidData, head: Mapping[str, Any], of_items: Sequence[Fault] = ()
) -> InvalidData:
    """Add the other faults of the file to the first one of its head."""
    from pfa_core.files.delta_shape import DeltaFile as DeltaShape
    from pfa_core.files.delta_shape import head_of
    from pfa_core.shapes import find_faults

    readable = isinstance(head["modifications"], list) and head["modifications"]
    found = find_faults(DeltaShape, head_of(head) if readable else head)
    faults = [*(each.as_fault("file") for each in found), *of_items]
    number = f" ({len(faults)} problems in all)" if len(faults) > 1 else ""
    return InvalidData(f"{first.message}{number}", hint=first.hint, details=faults)
