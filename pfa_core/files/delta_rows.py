"""Rows of lists as modifications: of CSV, of TSV, and of `pfa list` in JSON.

A row has every value of its record, changed or not: a save takes those that differ. Values that cannot be
edited come along to be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.cell_reader import NULL, CellReader, is_blank, plain_cell
from pfa_core.files.dialect import Table
from pfa_core.files.edited_rows import edited_cells, faults_of_row
from pfa_core.model.delta import unwritable
from pfa_core.model.keys import normal_key
from pfa_core.model.modification import State
from pfa_core.model.notation import Notation
from pfa_core.model.record import EDITABLE, FIELDS, LIST_COLUMNS, MARKS, Field, Kind
from pfa_core.model.seen import SEEN, Seen, SheetRow, letters_of, read_seen
from pfa_core.model.spelling import Spellings

SAVED = "nothing was saved"
# The marks of a list change with every save, and these two fields with every exchange of PEMS's side: compared
# they would refuse lists in which nothing was touched.
_PASSED_OVER = ("lastSyncedAt", "syncBatchId")
_OWN = ("pfaId", "changeReason", "expectedVersion")
# How a spreadsheet writes the first characters of a cell with what was seen.
QUOTED_SEEN = '"{""pfaId'


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A modification as a file has it, and its place.

    `read_only`: its values that cannot be edited; `listed_version`: the version that a list showed; `sheet`: the
    row of a sheet that it is.
    """

    position: str
    value: Any
    read_only: Mapping[str, Any] = field(default_factory=dict)
    listed_version: int | None = None
    sheet: SheetRow | None = None


class DeltaTable:
    """The rows of a CSV or TSV as modifications.

    Columns: pfaId, changeReason, expectedVersion and fields, in any spelling; those of `pfa list` where its TSV
    has no header. An empty cell leaves its field unchanged, `null` clears it; but in a row with what the sheet
    showed the edited cells alone are taken, the emptied ones too.

    Args:
        nulls: Further texts that stand for null, such as NULL.
        notation: What is said of separator, numbers and dates.
        empty_rows: The number of rows without a value, passed over so far; `empty_columns`: of columns.

    Raises:
        InvalidData: The lines are not a table whose header names pfaId, each column once.
    """

    def __init__(
        self,
        lines: Iterable[str],
        name: str,
        dialect: str,
        nulls: Collection[str] = (),
        notation: Notation | None = None,
    ) -> None:
        notation = notation or Notation()
        self._above, self._name = 0, name
        rest = iter(lines)
        first = next(rest, "")
        head = [first]
        if dialect == "tsv" and is_bare(first):
            head, self._above = ["\t".join(LIST_COLUMNS) + "\n", first], 1
        given = chain(head, rest)
        separator = notation.separator or ","
        self._table = Table(
            given, name, dialect, nulls=nulls, null=NULL, kept=SAVED, separator=separator
        )
        usual = dialect == "tsv" or separator == ","
        self._reader = CellReader(notation, is_point_usual=usual)
        self._rows = RowReader(self._table.columns, self._table.places, name, self._reader)

    @property
    def empty_rows(self) -> int:
        """Return how many rows were passed over so far."""
        return self._table.empty_rows

    @property
    def empty_columns(self) -> int:
        """Return how many columns were passed over."""
        return self._table.empty_columns

    def items(self) -> Iterator[Item | Fault]:
        """Yield the modifications in order; a row of another width is a fault.

        Raises:
            InvalidData: At the end: something can be read in two ways.
        """
        for row in self._table.rows():
            position = f"line {row.line - self._above}"
            if row.fault:
                yield Fault("", "", row.code, row.fault, position=position)
            else:
                yield from self._rows.items(row.cells, self._table.number - self._above, position)
        self._reader.refuse_doubts(self._name, SAVED)


class RowReader:
    """Rows of known columns as modifications.

    Args:
        header: The names of the columns, as they are written.
        places: Where these columns are, from 0.
        reader: Reads their cells.

    Raises:
        InvalidData: The header does not name pfaId, or a column twice, or an unknown one.
    """

    def __init__(
        self, header: Sequence[str], places: Sequence[int], name: str, reader: CellReader
    ) -> None:
        self._reader = reader
        self._columns = _columns(header, name)
        self._letters = {
            column: letters_of(place) for column, place in zip(self._columns, places, strict=True)
        }

    def items(
        self, cells: Sequence[Any], number: int, position: str = ""
    ) -> Iterator[Item | Fault]:
        """Yield a row as a modification, or its faults.

        Args:
            number: That of the row, from 1.
            position: Its place in messages; empty: that of its cells.
        """
        named = dict(zip(self._columns, cells, strict=True))
        text = named.pop(SEEN, "")
        seen = read_seen(text) if isinstance(text, str) and text.strip() else None
        row = SheetRow(number, self._letters, seen)
        if text and seen is None:
            reason = "is not what pfa wrote there; write the sheet again, or empty the cell"
            yield Fault("", SEEN, FaultCode.INVALID_TYPE, reason, position=row.cell(SEEN))
            return
        faults = list(faults_of_row(named, row)) if seen or not position else []
        yield from faults
        if faults:
            return
        if seen:
            yield _edited_item(named, row, seen, self._reader)
        else:
            yield _item(named, row, position, self._reader)


def is_bare(line: str) -> bool:
    """Return whether a line is a row of `pfa list` in TSV, which has no header."""
    cells = line.rstrip("\r\n").split("\t")
    return len(cells) == len(LIST_COLUMNS) and cells[-1] in tuple(State)


def _columns(header: Collection[str], name: str) -> list[str]:
    """Return the known name of each column; others stay, for their fault."""
    spellings = Spellings((*_OWN, *FIELDS, *MARKS, SEEN))
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
    is_sheet = SEEN in columns
    known = {*_OWN, *FIELDS, SEEN, *(MARKS if "syncState" in columns or is_sheet else ())}
    faults = [
        Fault("", column, wrong.code, wrong.reason, position="the header")
        for column in columns
        if column not in known
        and not (is_sheet and column.startswith("data."))
        and (wrong := unwritable(column))
    ]
    if faults:
        number = "1 column" if len(faults) == 1 else f"{len(faults)} columns"
        raise InvalidData(f"{name}: {number} of the header unknown; {SAVED}", details=faults)


def _edited_item(cells: dict[str, Any], row: SheetRow, seen: Seen, reader: CellReader) -> Item:
    """Return what was edited in a row of a sheet as a modification."""
    change = {"pfaId": seen.pfa_id, "delta": edited_cells(cells, row, seen, reader)}
    _take_own(cells, change)
    read_only: dict[str, Any] = {"pfaId": normal_key(seen.pfa_id)}
    for name, cell in cells.items():
        known = FIELDS.get(name)
        if known and not known.editable and name not in (*_PASSED_OVER, "pfaId"):
            read_only[name] = _fixed(known, cell, reader, row.cell(name))
    place = row.cell("pfaId")
    return Item(position=place, value=change, read_only=read_only, sheet=row)


def _item(cells: dict[str, Any], row: SheetRow, position: str, reader: CellReader) -> Item:
    """Return a row as a modification; of a list of `pfa list` its marks are left out."""
    listed = "syncState" in cells
    shown = _version(plain_cell(cells.get("version", "")).strip()) if listed else None
    change: dict[str, Any] = {"pfaId": plain_cell(cells.pop("pfaId")), "delta": {}}
    read_only = {"pfaId": normal_key(change["pfaId"])}
    _take_own(cells, change)
    for name, cell in cells.items():
        known = FIELDS.get(name)
        if name in _PASSED_OVER or (listed and name in MARKS):
            continue
        place = position or row.cell(name)
        if known is None:
            change["delta"][name] = cell
        elif not known.editable:
            read_only[name] = _fixed(known, cell, reader, place)
        elif not is_blank(cell):
            change["delta"][name] = reader.read(known, cell, place)
    version = shown if isinstance(shown, int) else None
    sheet = None if position else row
    place = position or row.cell("pfaId")
    return Item(
        position=place, value=change, read_only=read_only, listed_version=version, sheet=sheet
    )


def _take_own(cells: dict[str, Any], change: dict[str, Any]) -> None:
    """Move what is said of the modification from its cells."""
    reason = plain_cell(cells.pop("changeReason", ""))
    version = plain_cell(cells.pop("expectedVersion", "")).strip()
    if reason:
        change["changeReason"] = reason
    if version:
        change["expectedVersion"] = _version(version)


def _fixed(known: Field, cell: Any, reader: CellReader, place: str) -> Any:
    """Return a cell that cannot be edited, to be compared."""
    return plain_cell(cell) if known.kind is Kind.TEXT else reader.read(known, cell, place)


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
    fixed = {"pfaId": rest.get("pfaId"), **read_only}
    return Item(position=position, value=change, read_only=fixed, listed_version=listed_version)
