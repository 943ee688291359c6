"""Rows of lists as modifications: of CSV, of TSV, and of `pfa list` in JSON.

A row has every value of its record, changed or not: a save takes those that differ. Values that cannot be
edited come along to be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pfa_core.errors import Fault, InvalidData
from pfa_core.files.dialect import Table
from pfa_core.model.delta import unwritable
from pfa_core.model.keys import normal_key
from pfa_core.model.modification import State
from pfa_core.model.record import EDITABLE, FIELDS, LIST_COLUMNS, Field, Kind
from pfa_core.model.spelling import Spellings
from pfa_core.model.values import Wrong
from pfa_core.model.values import read_text as read_field_text

SAVED = "nothing was saved"
# What `pfa list` says of a record beside its data. It changes with every save, as do the last two fields
# with every exchange of PEMS's side: compared they would refuse lists in which nothing was touched.
MARKS = ("syncState", "sessionId", "version", "modifiedAt", "modifiedBy")
_PASSED_OVER = ("lastSyncedAt", "syncBatchId")
_OWN = ("pfaId", "changeReason", "expectedVersion")
_NULL = "null"


@dataclass(frozen=True, slots=True)
class Item:
    """A modification as a file has it, and its place.

    `read_only`: its values that cannot be edited; `listed_version`: the version that a list showed.
    """

    position: str
    value: Any
    read_only: Mapping[str, Any] = field(default_factory=dict)
    listed_version: int | None = None


class DeltaTable:
    """The rows of a CSV or TSV as modifications.

    Columns: pfaId, changeReason, expectedVersion and fields, in any spelling; those of `pfa list` where its TSV
    has no header. An empty cell leaves its field unchanged, `null` clears it.

    Args:
        nulls: Further texts that stand for null, such as NULL.
        empty_rows: The number of rows without a value, passed over so far; `empty_columns`: of columns.

    Raises:
        InvalidData: The lines are not a table whose header names pfaId, each column once.
    """

    def __init__(
        self, lines: Iterable[str], name: str, dialect: str, nulls: Collection[str] = ()
    ) -> None:
        self._above = 0
        rest = iter(lines)
        first = next(rest, "")
        head = [first]
        if dialect == "tsv" and is_bare(first):
            head, self._above = ["\t".join(LIST_COLUMNS) + "\n", first], 1
        given = chain(head, rest)
        self._table = Table(given, name, dialect, nulls=nulls, null=_NULL, kept=SAVED)
        self._columns = _columns(self._table.columns, name)

    @property
    def empty_rows(self) -> int:
        """Return how many rows were passed over so far."""
        return self._table.empty_rows

    @property
    def empty_columns(self) -> int:
        """Return how many columns were passed over."""
        return self._table.empty_columns

    def items(self) -> Iterator[Item | Fault]:
        """Yield the modifications in order; a row of another width is a fault."""
        for row in self._table.rows():
            position = f"line {row.line - self._above}"
            if row.fault:
                yield Fault("", "", row.code, row.fault, position=position)
            else:
                yield _item(dict(zip(self._columns, row.cells, strict=True)), position)


def is_bare(line: str) -> bool:
    """Return whether a line is a row of `pfa list` in TSV, which has no header."""
    cells = line.rstrip("\r\n").split("\t")
    return len(cells) == len(LIST_COLUMNS) and cells[-1] in tuple(State)


def _columns(header: Collection[str], name: str) -> list[str]:
    """Return the known name of each column; others stay, for their fault."""
    spellings = Spellings((*_OWN, *FIELDS, *MARKS))
    columns = [spellings.find(column) or column for column in header]
    if "pfaId" not in columns:
        raise InvalidData(
            f"{name}: the header line must name pfaId; {SAVED}",
            hint="of a list without a header the columns are unknown: type pfa list -o csv",
        )
    for place, (column, written) in enumerate(zip(columns, header, strict=True)):
        if column in columns[:place]:
            also = "" if column == written else f" as {written!r}"
            raise InvalidData(
                f"{name}: the column {column} is listed twice in the header{also}; {SAVED}"
            )
    _require_known(columns, name)
    return columns


def _require_known(columns: Collection[str], name: str) -> None:
    """Refuse unknown columns, once for all rows."""
    known = {*_OWN, *FIELDS, *(MARKS if "syncState" in columns else ())}
    faults = [
        Fault("", column, wrong.code, wrong.reason, position="the header")
        for column in columns
        if column not in known and (wrong := unwritable(column))
    ]
    if faults:
        number = "1 column" if len(faults) == 1 else f"{len(faults)} columns"
        raise InvalidData(f"{name}: {number} of the header unknown; {SAVED}", details=faults)


def _item(cells: dict[str, str], position: str) -> Item:
    """Return a row as a modification; of a list of `pfa list` its marks are left out."""
    listed = "syncState" in cells
    shown = _version(cells.get("version", "").strip()) if listed else None
    change: dict[str, Any] = {"pfaId": cells.pop("pfaId"), "delta": {}}
    read_only = {"pfaId": normal_key(change["pfaId"])}
    reason, version = cells.pop("changeReason", ""), cells.pop("expectedVersion", "").strip()
    if reason:
        change["changeReason"] = reason
    if version:
        change["expectedVersion"] = _version(version)
    for name, cell in cells.items():
        known = FIELDS.get(name)
        if name in _PASSED_OVER or (listed and name in MARKS):
            continue
        if known is None:
            change["delta"][name] = cell
        elif not known.editable:
            read_only[name] = cell if known.kind is Kind.TEXT else _value(known, cell)
        elif cell.strip():
            change["delta"][name] = _value(known, cell)
    return Item(position, change, read_only, shown if isinstance(shown, int) else None)


def _value(known: Field, cell: str) -> Any:
    """Return a cell as its field's kind; other texts stay, for their fault."""
    if known.name == "equipment" and cell.strip() != _NULL:
        return cell  # its blanks are part of it
    value = read_field_text(known, cell)
    return cell if isinstance(value, Wrong) else value


def _version(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def is_listed(value: Any) -> bool:
    """Return whether a value is a record of `pfa list -o json`."""
    return isinstance(value, dict) and isinstance(value.get("data"), dict) and "syncState" in value


def listed_item(value: dict[str, Any], position: str) -> Item:
    """Return a record of `pfa list -o json` as a modification."""
    data: Mapping[str, Any] = value["data"]
    rest = {name: part for name, part in value.items() if name != "data" and name not in MARKS}
    change = rest | {"delta": {name: data[name] for name in EDITABLE if name in data}}
    read_only = {
        name: part
        for name, part in data.items()
        if name not in change["delta"] and name not in _PASSED_OVER
    }
    shown = value.get("version")
    listed_version = shown if isinstance(shown, int) else None
    return Item(position, change, {"pfaId": rest.get("pfaId"), **read_only}, listed_version)
