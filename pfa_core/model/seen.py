"""The values that a sheet showed when it was written, in a column of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pfa_core import exact_json
from pfa_core.model.record import FIELDS

# The last column of a sheet, hidden in a workbook.
SEEN = "pfa.seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One record as a sheet showed it.

    Args:
        version: That of the mirror's record.
        pems: PEMS's values of the fields that can be edited in the sheet.
        mine: The user's own values of these fields, where they had changed them.
    """

    pfa_id: str
    version: int
    pems: Mapping[str, Any]
    mine: Mapping[str, Any] = field(default_factory=dict)

    def shows(self, name: str) -> bool:
        """Return whether the sheet had a cell of the field."""
        return name in self.pems

    def shown(self, name: str) -> Any:
        """Return the value in the field's cell when the sheet was written."""
        return self.mine[name] if name in self.mine else self.pems[name]

    def text(self) -> str:
        """Write it for its cell."""
        parts = {"pfaId": self.pfa_id, "version": self.version, "pems": self.pems}
        return exact_json.dumps({**parts, "mine": self.mine} if self.mine else parts)


def read_seen(text: str) -> Seen | None:
    """Read a cell that `Seen.text` wrote; None for another text."""
    try:
        read = exact_json.loads_strict(text)
    except exact_json.JsonFault:
        return None
    if not isinstance(read, dict):
        return None
    parts: Mapping[str, Any] = read
    pfa_id, version = parts.get("pfaId"), parts.get("version")
    pems, mine = parts.get("pems", ()), parts.get("mine", {})
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 1 << 31:
        return None
    if isinstance(pfa_id, str) and _are_values(pems) and _are_values(mine):
        return Seen(pfa_id=pfa_id, version=version, pems=pems, mine=mine)
    return None


def _are_values(part: Any) -> bool:
    """Return whether a part holds values of fields that can be edited."""
    return isinstance(part, dict) and all(
        name in FIELDS and FIELDS[name].editable and (value is None or isinstance(value, _KINDS))
        for name, value in part.items()
    )


_KINDS = (str, bool, int, Decimal)


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The row of a sheet that a change comes from.

    Args:
        row: Its number, from 1 with the header, as a spreadsheet counts.
        letters: The column of each field.
        seen: What the row showed when it was written; None in a sheet that `pfa` did not write.
    """

    row: int
    letters: Mapping[str, str]
    seen: Seen | None = None

    def cell(self, name: str) -> str:
        """Return the address of a field's cell, `D14`; of another field that of the row."""
        letter = self.letters.get(name)
        return f"{letter}{self.row}" if letter else f"row {self.row}"


def letters_of(index: int) -> str:
    """Return the letters of a column, from 0: A, …, Z, AA."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
