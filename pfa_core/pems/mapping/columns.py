"""Columns of a source by the names of a field map.

One way in for every source: a row under PEMS's names has the same values from the grid, a saved answer of
it, CSV, TSV, JSON and JSONL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pfa_core.model.record import FIELDS
from pfa_core.model.spelling import Spellings
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.mapping.steps import Chain

Row = dict[str, str]
OrganizationOf = Callable[[str], str]

MAX_LAYOUTS = 1000  # different sets of names that the rows of one source are remembered by
_DERIVED = frozenset(("hasPlan", "hasActuals"))


class Names:
    """Names of columns, in any spelling, of a field map and the field table."""

    def __init__(self, field_map: FieldMap) -> None:
        self.map = field_map
        self.mapped = frozenset(field_map.fields.values())
        self._aliases, self._fields = Spellings(field_map.fields), Spellings(FIELDS)

    def alias(self, column: str) -> str | None:
        """Return the alias that a column is, None where the map has none in that spelling."""
        return column if column in self.map.fields else self._aliases.find(column)

    def field(self, column: str) -> str | None:
        """Return the field that a column is called by, None for another name."""
        return column if column in FIELDS else self._fields.find(column)

    def nearest(self, column: str, given: Iterable[str]) -> str:
        """Return the field that a misspelt column may be, of those that no column is."""
        return self._fields.nearest(column, FIELDS.keys() - _DERIVED - {*given})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
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


class Columns:
    """The columns of one source.

    A column that is an alias of the map is PEMS's: its values are texts that go through transforms and
    defaults, and the organization is PEMS's code. A column called like a field is pfa's and stays as it is,
    except that a field without an alias goes by its own name at PEMS too. A row is PEMS's when one of its
    columns is an alias that is not the name of its field, or when the id has no other name at PEMS and the
    row is not an export of pfa, which alone has `hasPlan` and `hasActuals`.

    Args:
        organization_of: Converts PEMS's code of an organization to pfa's.
        carried: The fields that the rows so far had columns for.
    """

    def __init__(self, field_map: FieldMap, organization_of: OrganizationOf | None = None) -> None:
        self._names = Names(field_map)
        self._chains = list(field_map.chains.items())
        self._organization_of = organization_of
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._last_names: tuple[str, ...] = ()
        self._last = _Layout(targets=(), is_plain=True)
        self.carried: set[str] = set()

    def read(self, row: Mapping[str, Any]) -> Mapping[str, Any] | Misnamed:
        """Return the values by field; the row itself where no name is another one.

        A `PemsRow` holds texts, whatever the row held.
        """
        names = tuple(row)
        layout = self._last if names == self._last_names else self._remembered(names)
        if layout.is_plain:
            return row
        if layout.wrong:
            return Misnamed(*layout.wrong)
        if layout.cells is None:
            return dict(zip(layout.targets, row.values(), strict=True))
        texts = [as_text(value) for value in row.values()]
        found = PemsRow(zip(layout.targets, texts, strict=True))
        cells = dict(zip(layout.cells, texts, strict=True))
        chains = [chain for chain in self._chains if chain[0] not in layout.own]
        return convert(found, cells, chains, self._code_of(layout))

    def _code_of(self, layout: _Layout) -> OrganizationOf | None:
        return None if "organization" in layout.own else self._organization_of

    def _remembered(self, names: tuple[str, ...]) -> _Layout:
        self._last_names = names
        self._last = self._layouts.get(names) or self._learn(names)
        return self._last

    def _learn(self, names: tuple[str, ...]) -> _Layout:
        layout = self._layout(names)
        self.carried.update(name for name in layout.targets if name in FIELDS)
        if len(self._layouts) < MAX_LAYOUTS:
            self._layouts[names] = layout
        return layout

    def _layout(self, columns: tuple[str, ...]) -> _Layout:
        names = self._names
        is_pems = self._is_pems(columns)
        aliases = [names.alias(column) if is_pems else None for column in columns]
        targets = [
            names.map.fields[alias] if alias else names.field(column) or column
            for column, alias in zip(columns, aliases, strict=True)
        ]
        wrong = _twice(columns, targets)
        if not is_pems:
            # PEMS has many columns beside those of the map; what is in a file of pfa's names is meant.
            wrong = wrong or self._misspelt(columns, targets)
            return _Layout(
                targets=targets, is_plain=tuple(targets) == columns and not wrong, wrong=wrong
            )
        cells = [alias or target for alias, target in zip(aliases, targets, strict=True)]
        own = names.mapped - {names.map.fields[alias] for alias in aliases if alias}
        return _Layout(targets=targets, cells=cells, own=own.intersection(targets), wrong=wrong)

    def _is_pems(self, columns: Sequence[str]) -> bool:
        fields, names = self._names.map.fields, self._names
        known = [alias for column in columns if (alias := names.alias(column))]
        if any(alias != fields[alias] for alias in known):
            return True
        return names.map.alias_of("pfaId") == "pfaId" and not {*columns} >= _DERIVED

    def _misspelt(self, columns: Sequence[str], targets: Sequence[str]) -> tuple[str, str] | None:
        """Find a column that is probably a field that no column is."""
        for column, target in zip(columns, targets, strict=True):
            if target not in FIELDS and (meant := self._names.nearest(column, targets)):
                return column, f"unknown field; did you mean {meant}?"
        return None


class PemsRow(Row):
    """A row of PEMS as texts by field."""


@dataclass(frozen=True, slots=True)
class Misnamed:
    """A row that is refused for the name of a column."""

    column: str
    reason: str


def _twice(columns: Sequence[str], targets: Sequence[str]) -> tuple[str, str] | None:
    seen: dict[str, str] = {}
    for column, target in zip(columns, targets, strict=True):
        if target in seen:
            return column, f"is the {target} a second time, beside {seen[target]!r}"
        seen[target] = column
    return None


def convert(
    row: Row,
    cells: Mapping[str, str],
    chains: Iterable[tuple[str, Chain]],
    organization_of: OrganizationOf | None,
) -> Row:
    """Apply chains and the organization's code to a row of PEMS, in place.

    Args:
        cells: The row as PEMS wrote it, by alias: every chain reads that, so that the order of the map
            does not matter.
    """
    row.update([(name, chain.read(row.get(name, ""), cells)) for name, chain in chains])
    if organization_of and (code := row.get("organization")):
        row["organization"] = organization_of(code)
    return row


def as_text(value: Any) -> str:
    """Write a value as a cell of the grid holds it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, list | dict):  # not a cell of a grid; left for the cast to refuse
        return json.dumps(value, default=str)
    return "" if value is None else str(value)
