"""The columns of a sheet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pfa_core.errors import InvalidRequest
from pfa_core.model.record import FIELDS, MARKS, Kind
from pfa_core.model.seen import SEEN
from pfa_core.model.suggest import not_one_of

OTHERS = "data."  # before the name of a field that the field table does not have
ALL_COLUMNS = (*FIELDS, *MARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a sheet.

    `kind`: that of the field, None for what is written as it is. `choices`: the values that its cells may have,
    where they are few. `is_hidden`: it is for the program. `number_format`: of a column of a report, where nothing
    is edited and nothing marked as such.
    """

    name: str
    kind: Kind | None = None
    is_editable: bool = False
    is_hidden: bool = False
    choices: Sequence[str] = ()
    number_format: str = ""

    def value(self, record: Mapping[str, Any], marks: Mapping[str, Any]) -> Any:
        """Return the column's value of a record."""
        if self.name in marks:
            return marks[self.name]
        return record.get(self.name.removeprefix(OTHERS))


SEEN_COLUMN = Column(name=SEEN, is_hidden=True)


def chosen_columns(names: Sequence[str], shown: Collection[str] | None = None) -> list[Column]:
    """Make the columns of a sheet; without names all of them.

    The record's id comes first where it is not among them.

    Args:
        shown: The only fields whose columns are not left out; None: all.

    Raises:
        InvalidRequest: An unknown column, or one that is named twice.
    """
    chosen = list(names or ALL_COLUMNS)
    for name in chosen:
        if name not in ALL_COLUMNS and not name.startswith(OTHERS):
            raise not_one_of(f"unknown column {name!r}", name, ALL_COLUMNS, listed="columns")
        if chosen.count(name) > 1:
            raise InvalidRequest(f"the column {name!r} is named twice")
    if "pfaId" not in chosen:
        chosen.insert(0, "pfaId")
    return [
        _column(name)
        for name in chosen
        if shown is None or name in MARKS or name.removeprefix(OTHERS) in shown
    ]


def _column(name: str) -> Column:
    known = FIELDS.get(name)
    if known is None:
        return Column(name=name)
    choices = known.choices if known.editable else ()
    return Column(name=name, kind=known.kind, is_editable=known.editable, choices=choices)
