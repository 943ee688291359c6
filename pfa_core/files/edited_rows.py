"""Rows of sheets that `pfa` wrote: what was edited in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pfa_core.errors import Fault, FaultCode
from pfa_core.files.cell_reader import (
    NULL,
    CellFault,
    CellReader,
    is_blank,
    is_shown_as,
    plain_cell,
)
from pfa_core.files.sheets.text_writer import cell_text
from pfa_core.model.delta import same
from pfa_core.model.keys import normal_key
from pfa_core.model.record import FIELDS, Field
from pfa_core.model.seen import Seen, SheetRow

_UNEDITED = object()


def edited_cells(
    cells: Mapping[str, Any], row: SheetRow, seen: Seen, reader: CellReader
) -> dict[str, Any]:
    """Return the values of the cells that have something else than the sheet showed.

    An emptied cell is None. A column that the sheet did not have is taken as a list has it: an
    empty cell leaves its field alone.
    """
    found: dict[str, Any] = {}
    for name, cell in cells.items():
        known = FIELDS.get(name)
        if known is None or not known.editable or isinstance(cell, CellFault):
            continue
        if not seen.shows(name):
            if not is_blank(cell):
                found[name] = reader.read(known, cell, row.cell(name))
            continue
        value = _edited(known, cell, seen.shown(name), reader, row.cell(name))
        if value is not _UNEDITED:
            found[name] = value
    return found


def _edited(known: Field, cell: Any, shown: Any, reader: CellReader, place: str) -> Any:
    if is_shown_as(cell, shown, cell_text(shown)):
        return _UNEDITED
    is_cleared = cell in ("", NULL) if known.name == "equipment" else _is_nothing(cell)
    if is_cleared:
        return _UNEDITED if shown in (None, "") else None
    value = reader.read(known, cell, place)
    return _UNEDITED if same(value, shown) else value


def _is_nothing(cell: Any) -> bool:
    return is_blank(cell) or (isinstance(cell, str) and cell.strip() == NULL)


def faults_of_row(cells: Mapping[str, Any], row: SheetRow) -> Iterator[Fault]:
    """Find errors in cells, and a row whose cells are not of one record any more."""
    pfa_id = normal_key(plain_cell(cells["pfaId"]))
    for name, cell in cells.items():
        if isinstance(cell, CellFault) and name in FIELDS:
            yield Fault(pfa_id, name, FaultCode.INVALID_TYPE, cell.reason, position=row.cell(name))
    if row.seen and pfa_id != normal_key(row.seen.pfa_id):
        reason = (
            f"the row was written for {row.seen.pfa_id!r}; ids cannot be edited, and a spreadsheet has to"
            " sort all columns together"
        )
        yield Fault(pfa_id, "pfaId", FaultCode.READ_ONLY_FIELD, reason, position=row.cell("pfaId"))
