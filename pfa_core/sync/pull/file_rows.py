"""Records of files by pfa's names, whatever the file's format and names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pfa_core.errors import Fault, FaultCode, InvalidData
from pfa_core.files.baseline import GridAnswer, Leftovers, RawRecord, Unchanged, read_baseline
from pfa_core.files.reading import MAX_SIZE, source_name
from pfa_core.model.record import CHECKED
from pfa_core.model.values import shorten
from pfa_core.pems.mapping.columns import Columns, Misnamed, PemsRow
from pfa_core.pems.mapping.layouts import Layout
from pfa_core.pems.profile import PemsNames
from pfa_core.pems.services.grid import RowDecoder, decode_page
from pfa_core.sync.pull.recognition import Recognition


@dataclass(kw_only=True)
class FileRows:
    """A reader of files by the names of one organization's PEMS.

    Args:
        nulls: Texts that a cell of a table holds in place of nothing.
        max_size: Bytes, unpacked, that a line or a JSON document may have.
        leftovers: Counts what tables hold beside records.
        carried: For each path read, the fields that its rows so far had columns for.
        tables: The paths that were tables, whose columns are those of all rows.
        layout: The columns of the row that was read last; None: each row may have its own.
        recognition: Finds lines that need not be read.
    """

    names: PemsNames
    file_format: str = "auto"
    nulls: Collection[str] = ()
    max_size: int = MAX_SIZE
    leftovers: Leftovers = field(default_factory=Leftovers)
    carried: dict[str, Set[str]] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    layout: Layout | None = None
    recognition: Recognition | None = None

    def fields(self) -> Set[str]:
        """Return the known fields that the files read so far have."""
        return set[str]().union(*self.carried.values())

    def undeclared(self) -> Set[str]:
        """Return the known fields that one of the tables read has no column for."""
        return {name for path in self.tables for name in CHECKED.keys() - self.carried[path]}

    def records(
        self, path: str, content: BinaryIO | None = None
    ) -> Iterator[RawRecord | Fault | Unchanged]:
        """Yield every record of a file; a row that is refused for its names is a fault.

        Raises:
            NotFound, IoFailure, InvalidData: As `read_baseline`; a table has a column twice, or misspelt.
        """
        name = source_name(path)
        columns = Columns(self.names.field_map, self.names.organization_of)
        self.carried[path] = columns.carried
        if self.recognition:
            self.recognition.begin_lines(self._facts())
        for item in read_baseline(
            path,
            self.file_format,
            content=content,
            nulls=self.nulls,
            leftovers=self.leftovers,
            max_size=self.max_size,
            keys=[one for one in ("pfaId", self.names.field_map.alias_of("pfaId")) if one],
            recognizer=self.recognition,
            check_header=lambda header, _: self._take_header(columns, header, path),
        ):
            if isinstance(item, RawRecord):
                value = item.value
                row = columns.read(value) if isinstance(value, dict) else value
                self.layout = columns.layout
                yield item if row is value else _by_field(item, row, name)
            elif isinstance(item, GridAnswer):
                yield from self._grid_rows(item.content, path)
            else:
                yield item

    def _facts(self) -> Mapping[str, Any] | None:
        """Return what decides how a line is read; None where that cannot be said."""
        names = self.names
        if names.field_map.chains and not names.field_map.text:
            return None
        return {
            "fields": [*names.field_map.fields.items()],
            "chains": names.field_map.text if names.field_map.chains else "",
            "organization": [names.organization, names.organization_id],
        }

    def _take_header(self, columns: Columns, header: Sequence[str], path: str) -> None:
        """Note a table's columns; refuse one without the key, as an error page is."""
        name = source_name(path)
        self.tables.add(path)
        row = columns.read(dict.fromkeys(header, ""))
        if isinstance(row, Misnamed):
            raise _misnamed(row, name)
        if "pfaId" in row:
            return
        alias = self.names.field_map.alias_of("pfaId")
        raise InvalidData(
            f"{name} is not a table of records: no column pfaId in its header, or {alias} by the field map; "
            f"it begins {shorten(header[0])}; nothing was stored"
        )

    def _grid_rows(self, answer: Any, path: str) -> Iterator[RawRecord | Fault]:
        decode = RowDecoder(self.names.field_map, self.names.organization_of)
        rows = decode_page(answer, decode).rows
        self.layout = None
        self.carried[path] = decode.carried
        for number, row in enumerate(rows, 1):
            yield RawRecord(row, f"{source_name(path)} row {number}", textual=True)


def _by_field(item: RawRecord, row: Mapping[str, Any] | Misnamed, name: str) -> RawRecord | Fault:
    if not isinstance(row, Misnamed):
        return RawRecord(row, item.position, item.textual or isinstance(row, PemsRow))
    if item.textual:  # the header of a table: all of its rows
        raise _misnamed(row, name)
    pfa_id = item.value.get("pfaId")
    known = pfa_id if isinstance(pfa_id, str) else ""
    return Fault(known, row.column, FaultCode.UNKNOWN_FIELD, row.reason, position=item.position)


def _misnamed(row: Misnamed, name: str) -> InvalidData:
    return InvalidData(f"{name}: the column {row.column!r}: {row.reason}; nothing was stored")
