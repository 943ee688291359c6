"""Columns of a source by the names of a field map.

One way in for every source: a row under PEMS's names has the same values from the grid, a saved answer of
it, CSV, TSV, JSON and JSONL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pfa_core.model.record import FIELDS
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.mapping.layouts import Layout, Layouts

Row = dict[str, str]
OrganizationOf = Callable[[str], str]

MAX_LAYOUTS = 1000  # different sets of names that the rows of one source are remembered by


class Columns:
    """The columns of one source.

    A column that is an alias of the map is PEMS's: its values are texts that go through transforms and
    defaults, and the organization is PEMS's code. A column called like a field is pfa's and stays as it is,
    except that a field without an alias goes by its own name at PEMS too. `Layouts` says whose a row is.

    Args:
        organization_of: Converts PEMS's code of an organization to pfa's.
        carried: The fields that the rows so far had columns for.
    """

    def __init__(self, field_map: FieldMap, organization_of: OrganizationOf | None = None) -> None:
        self._known = Layouts(field_map)
        self._conversion = Conversion(field_map, organization_of)
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._last_names: tuple[str, ...] = ()
        self._last = Layout(targets=(), is_plain=True)
        self.carried: set[str] = set()

    @property
    def layout(self) -> Layout:
        """Return what the columns of the last row were.

        Rows of the same names in the same order share it.
        """
        return self._last

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
        return self._conversion.of(PemsRow(zip(layout.targets, texts, strict=True)), layout, texts)

    def _remembered(self, names: tuple[str, ...]) -> Layout:
        self._last_names = names
        self._last = self._layouts.get(names) or self._learn(names)
        return self._last

    def _learn(self, names: tuple[str, ...]) -> Layout:
        layout = self._known.of_file(names)
        self.carried.update(name for name in layout.targets if name in FIELDS)
        if len(self._layouts) < MAX_LAYOUTS:
            self._layouts[names] = layout
        return layout


class PemsRow(Row):
    """A row of PEMS as texts by field."""


@dataclass(frozen=True, slots=True)
class Misnamed:
    """A row that is refused for the name of a column."""

    column: str
    reason: str


class Conversion:
    """The chains of a field map and the organization's code, for rows of PEMS.

    Args:
        organization_of: Converts PEMS's code of an organization to pfa's.
    """

    def __init__(self, field_map: FieldMap, organization_of: OrganizationOf | None) -> None:
        self._chains = list(field_map.chains.items())
        self._organization_of = organization_of
        self.is_needed = bool(self._chains or organization_of)

    def of(self, row: Row, layout: Layout, texts: Iterable[str]) -> Row:
        """Convert a row by field in place, except what stands under pfa's own name.

        Every chain reads the row as PEMS wrote it, so that the order of the map does not matter.

        Args:
            texts: The row's cells in the order of the layout.
        """
        own = layout.own
        if self._chains:
            cells = dict(zip(layout.cells or layout.targets, texts, strict=True))
            chains = [(name, chain) for name, chain in self._chains if name not in own]
            row.update([(name, chain.read(row.get(name, ""), cells)) for name, chain in chains])
        code = row.get("organization")
        if self._organization_of and code and "organization" not in own:
            row["organization"] = self._organization_of(code)
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
