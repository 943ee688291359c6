"""Layouts of rows: what each of their columns is by a field map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pfa_core.model.record import FIELDS
from pfa_core.model.spelling import Spellings
from pfa_core.pems.mapping.field_map import FieldMap

_DERIVED = frozenset(("hasPlan", "hasActuals"))
_SPARSE = frozenset(name for name, field in FIELDS.items() if field.sparse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the columns of a row are.

    Args:
        targets: A field, or the name that is kept, for each column in its order.
        is_plain: The row is as it has to be.
        cells: The name by which chains know each column; None: the row is pfa's own.
        own: Fields that stand under pfa's name, in pfa's units, in a row of PEMS.
        wrong: The column that makes the row invalid, and why.
    """

    targets: Sequence[str]
    is_plain: bool = False
    cells: Sequence[str] | None = None
    own: frozenset[str] = frozenset()
    wrong: tuple[str, str] | None = None


class Layouts:
    """The layouts of rows by a field map, whatever the spelling of their columns."""

    def __init__(self, field_map: FieldMap) -> None:
        self._map = field_map
        self._mapped = frozenset(field_map.fields.values())
        self._aliases, self._fields = Spellings(field_map.fields), Spellings(FIELDS)

    def of_file(self, columns: Sequence[str]) -> Layout:
        """Return the layout of a row of a file, which may be pfa's own.

        An export of pfa is that, whatever the map says: it alone has `hasPlan` and `hasActuals`. Another
        row is PEMS's when one of its columns is an alias that is not the name of its field, or when the id
        has no other name at PEMS.
        """
        if self._is_export(columns):
            return self._of_export(columns)
        aliases = [self._alias(column) for column in columns]
        if not self._is_pems(aliases):
            targets = [self._field(column) or column for column in columns]
            return self._own(columns, targets, _twice(columns, targets))
        targets = [
            self._map.fields[alias] if alias else self._field(column) or column
            for column, alias in zip(columns, aliases, strict=True)
        ]
        return self._pems(aliases, targets, _twice(columns, targets))

    def of_grid(self, columns: Sequence[str]) -> Layout:
        """Return the layout of a row of the grid, whose columns cannot be renamed.

        Beside the alias itself a column that is spelt like it keeps its name. One that is called like a
        field that has its alias in the row gets a prefix, or its cell would replace the field.
        """
        present = {*columns}
        aliases = [
            alias if (alias := self._alias(column)) == column or alias not in present else None
            for column in columns
        ]
        held = {self._map.fields[alias] for alias in aliases if alias}
        targets = [
            self._map.fields[alias] if alias else self._kept(column, held, present)
            for column, alias in zip(columns, aliases, strict=True)
        ]
        return self._pems(aliases, targets, _twice(columns, targets))

    def _kept(self, column: str, held: set[str], present: set[str]) -> str:
        field = self._field(column)
        if field in held:
            return f"grid:{column}"
        return column if field is None or field in present else field

    def _pems(
        self, aliases: Sequence[str | None], targets: Sequence[str], wrong: tuple[str, str] | None
    ) -> Layout:
        cells = [alias or target for alias, target in zip(aliases, targets, strict=True)]
        own = self._mapped - {self._map.fields[alias] for alias in aliases if alias}
        return Layout(targets=targets, cells=cells, own=own.intersection(targets), wrong=wrong)

    def _of_export(self, columns: Sequence[str]) -> Layout:
        """Return the layout of an export.

        A column that is spelt like a field beside it is another one.
        """
        present = {*columns}
        targets = [
            field if (field := self._field(column)) and field not in present else column
            for column in columns
        ]
        # An export leaves out sparse fields that are empty, and has PEMS's other columns.
        return self._own(columns, targets, _twice(columns, targets), absent=_SPARSE)

    def _own(
        self,
        columns: Sequence[str],
        targets: Sequence[str],
        wrong: tuple[str, str] | None,
        absent: frozenset[str] = frozenset(),
    ) -> Layout:
        # PEMS has many columns beside those of the map; what is in a file of pfa's names is meant.
        wrong = wrong or self._misspelt(columns, targets, absent)
        return Layout(targets=targets, is_plain=[*targets] == [*columns] and not wrong, wrong=wrong)

    def _alias(self, column: str) -> str | None:
        """Return the alias that a column is; the name of a field is not a spelling of one."""
        if column in self._map.fields:
            return column
        return None if column in FIELDS else self._aliases.find(column)

    def _field(self, column: str) -> str | None:
        return column if column in FIELDS else self._fields.find(column)

    def _is_export(self, columns: Iterable[str]) -> bool:
        named = {
            self._field(column)
            for column in columns
            if column in _DERIVED or column not in self._map.fields
        }
        return named >= _DERIVED

    def _is_pems(self, aliases: Iterable[str | None]) -> bool:
        fields = self._map.fields
        if any(alias and alias != fields[alias] for alias in aliases):
            return True
        return self._map.alias_of("pfaId") == "pfaId"

    def _misspelt(
        self, columns: Sequence[str], targets: Sequence[str], absent: frozenset[str]
    ) -> tuple[str, str] | None:
        """Find a column that is probably a field that no column is."""
        missing = FIELDS.keys() - _DERIVED - absent - {*targets}
        for column, target in zip(columns, targets, strict=True):
            if target not in FIELDS and (meant := self._fields.nearest(column, missing)):
                return column, f"unknown field; did you mean {meant}?"
        return None


def repeated(columns: Iterable[str], targets: Iterable[str]) -> tuple[str, str, str] | None:
    """Return two columns that are one field, and the field."""
    seen: dict[str, str] = {}
    for column, target in zip(columns, targets, strict=True):
        if target in seen:
            return seen[target], column, target
        seen[target] = column
    return None


def _twice(columns: Sequence[str], targets: Sequence[str]) -> tuple[str, str] | None:
    if not (found := repeated(columns, targets)):
        return None
    first, second, target = found
    return second, f"is the {target} a second time, beside {first!r}"
