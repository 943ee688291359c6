"""Workbooks (.xlsx) as rows of cells. No other module imports python_calamine."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from pfa_core.errors import InvalidData
from pfa_core.files.cell_reader import CellFault
from pfa_core.files.extras import extra
from pfa_core.files.reading import SPOOL_BYTES
from pfa_core.files.sheets.workbook_parts import SheetFacts, check_workbook
from pfa_core.model.seen import letters_of
from pfa_core.model.spelling import folded
from pfa_core.model.suggest import did_you_mean

_NO_SHEET = "has no sheet whose header names pfaId"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbook:
    """One sheet of a workbook.

    Its rows are read once, each a list of texts, numbers, flags, days and `CellFault`, with the number that a
    spreadsheet shows. `is_1904`: numbers that stand for days count from 1904.
    """

    name: str
    rows: Iterator[tuple[int, Sequence[Any]]]
    is_1904: bool


def open_workbook(
    file: BinaryIO, name: str, *, sheet: str = "", max_size: int, kept: str
) -> Workbook:
    """Open the sheet that is named, or the only one whose header names `pfaId`.

    Hidden rows, columns and sheets are read as any other. A formula counts as the value that it had when the
    workbook was saved.

    Args:
        max_size: Bytes of its parts, unpacked, all together.
        kept: What is said of the effect, as in "nothing was stored".

    Raises:
        ConfigInvalid: The package for it is not installed.
        InvalidData: It is damaged, too large or harmful; it has no such sheet, or several.
    """
    with extra("xlsx", "to read workbooks"):
        import python_calamine
    # Its memory, or file, ends with it; the package holds the values of a sheet by themselves.
    with SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        shutil.copyfileobj(file, spool)
        spool.seek(0)
        parts = check_workbook(cast("BinaryIO", spool), name, max_size, kept=kept)
        spool.seek(0)
        try:
            with python_calamine.CalamineWorkbook.from_filelike(spool) as book:
                chosen = _choose(book, parts.sheets, sheet, name, kept)
                found = book.get_sheet_by_name(chosen)
        except python_calamine.CalamineError as error:
            raise InvalidData(
                f"{name} is a damaged Excel workbook (.xlsx): {error}; {kept}"
            ) from None
    _refuse_merged(found, f"{name}, sheet {chosen!r}", kept)
    rows = _rows(found, parts.sheets[chosen])
    return Workbook(name=chosen, rows=rows, is_1904=parts.is_1904)


def _choose(book: Any, known: Any, sheet: str, name: str, kept: str) -> str:
    """Return the name of the sheet to read."""
    names = [each for each in book.sheet_names if each in known]
    if sheet:
        if sheet in names:
            return sheet
        listed = ", ".join(map(repr, names))
        raise InvalidData(
            f"{name} has no sheet {sheet!r}{did_you_mean(sheet, names)}; {kept}",
            hint=f"its sheets are {listed}",
        )
    fitting = [each for each in names if _is_table(book.get_sheet_by_name(each))]
    if len(fitting) == 1 or (len(names) == 1 and not fitting):
        return (fitting or names)[0]

    reason = f"has {len(fitting)} sheets whose header names pfaId" if fitting else _NO_SHEET
    listed = ", ".join(map(repr, fitting or names)) or "none"
    raise InvalidData(f"{name} {reason} ({listed}); {kept}", hint="say which one it is: `sheet`")


def _is_table(sheet: Any) -> bool:
    """Return whether the first row with a value names the record's id."""
    if sheet.start is None:
        return False
    first = next((row for row in sheet.iter_rows() if any(row)), [])
    return any(isinstance(cell, str) and folded(cell) == "pfaid" for cell in first)


def _refuse_merged(sheet: Any, what: str, kept: str) -> None:
    """Refuse merged cells: but for the first one they seem to be empty."""
    ranges = [each for each in sheet.merged_cell_ranges or () if each[0] != each[1]]
    if ranges:
        (row, column), (last_row, last_column) = ranges[0]
        more = f" and {len(ranges) - 1:,} more" if len(ranges) > 1 else ""
        place = f"{letters_of(column)}{row + 1}:{letters_of(last_column)}{last_row + 1}"
        raise InvalidData(
            f"{what}: the cells {place}{more} are merged, it cannot be known which rows their value is of;"
            f" {kept}",
            hint="split them in the spreadsheet, and save it again",
        )


def _rows(sheet: Any, facts: SheetFacts) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the rows with their numbers.

    The package begins at the first row, but at the first column that has a value.
    """
    if sheet.start is None:
        return
    before = [""] * sheet.start[1]
    faulty = _by_row(facts)
    for number, cells in enumerate(sheet.iter_rows()):
        row = [*before, *cells]
        for column, fault in faulty.pop(number, {}).items():
            row += [""] * (column + 1 - len(row))
            row[column] = fault
        yield number + 1, row


def _by_row(facts: SheetFacts) -> dict[int, dict[int, CellFault]]:
    found: dict[int, dict[int, CellFault]] = {}
    for (row, column), what in facts.errors.items():
        found.setdefault(row, {})[column] = CellFault(f"holds the error {what}")
    for row, column in facts.uncomputed:
        reason = "holds a formula without a value: open the workbook, and save it again"
        found.setdefault(row, {})[column] = CellFault(reason)
    return found


def cell_value(cell: Any) -> Any:
    """Return a cell as text, number or flag; a day as YYYY-MM-DD."""
    if isinstance(cell, str | bool | int | float | CellFault):
        return cell
    if isinstance(cell, datetime.datetime):
        is_day = cell.time() == datetime.time()
        return cell.date().isoformat() if is_day else cell.isoformat(sep=" ")
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return str(cell)
