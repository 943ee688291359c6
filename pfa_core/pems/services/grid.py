"""Answers of the EAM grid: rows in either shape, totals under either name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pfa_core.errors import InvalidData
from pfa_core.model.record import FIELDS
from pfa_core.model.values import shorten
from pfa_core.pems.http.failures import error_alert
from pfa_core.pems.mapping.columns import Names, OrganizationOf, Row, as_text, convert
from pfa_core.pems.mapping.field_map import FieldMap

MAX_WORDS = 300


@dataclass(frozen=True, slots=True)
class GridPage:
    """One answer of the grid.

    Args:
        rows: Texts by field; aliases outside the map keep their own name.
        total: The total that PEMS claims, None where the answer has none.
    """

    rows: list[Row]
    total: int | None


def decode_page(answer: Any, names: Mapping[str, str] | FieldMap | RowDecoder) -> GridPage:
    """Decode a grid answer; the transforms of a whole field map are applied.

    Raises:
        InvalidData: PEMS answered with an error alert, or not with a grid.
    """
    alert = error_alert(answer)
    if alert:
        raise InvalidData(f"PEMS answered with an error: {shorten(alert, MAX_WORDS)}")
    return decode_rows(answer, names if isinstance(names, RowDecoder) else RowDecoder(names))


def decode_rows(answer: Any, decode: RowDecoder) -> GridPage:
    """Decode an answer without an alert.

    Raises:
        InvalidData: It is not a grid, or a row has a column twice.
    """
    try:
        grid = answer["Result"]["ResultData"]["GRID"]
        rows = (grid.get("DATA") or {}).get("ROW") or []
        return GridPage(list(map(decode, rows)), _total(grid))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidData("not an answer of a PEMS grid") from error


class RowDecoder:
    """A converter of rows of the grid to texts by field.

    Args:
        organization_of: Converts PEMS's code of an organization to pfa's.
    """

    def __init__(
        self,
        field_map: Mapping[str, str] | FieldMap,
        organization_of: OrganizationOf | None = None,
    ) -> None:
        whole = field_map if isinstance(field_map, FieldMap) else FieldMap(field_map)
        self._names = _FieldOf(whole)
        self._chains = list(whole.chains.items())
        self._aliases = {name: alias for alias, name in whole.fields.items()}
        self._organization_of = organization_of

    @property
    def carried(self) -> frozenset[str]:
        """Return the fields that the rows so far had cells for."""
        return frozenset(self._names.seen & FIELDS.keys())

    def __call__(self, row: Any) -> Row:
        """Read cells written as `CELL: [{ALIAS_NAME, VALUE}]` or as `D: [{n, value}]`."""
        names = self._names
        if "CELL" in row:
            cells = row["CELL"]
            found = {
                names[cell["ALIAS_NAME"]]: value
                if (value := cell.get("VALUE")).__class__ is str
                else as_text(value)
                for cell in cells
            }
        else:
            cells = row["D"]
            found = {names[cell["n"]]: as_text(cell.get("value")) for cell in cells}
        if len(found) != len(cells):
            raise InvalidData(f"PEMS's grid has a column twice in a row, {self._twice(cells)}")
        if not self._chains and not self._organization_of:
            return found
        written = {self._aliases.get(name, name): value for name, value in found.items()}
        return convert(found, written, self._chains, self._organization_of)

    def _twice(self, cells: Sequence[Any]) -> str:
        """Return the names of the first two cells that are one field."""
        seen: dict[str, str] = {}
        for cell in cells:
            alias = cell["ALIAS_NAME"] if "ALIAS_NAME" in cell else cell["n"]
            if (name := self._names[alias]) in seen:
                return f"{seen[name]!r} and {alias!r}"
            seen[name] = alias
        return ""


class _FieldOf(dict[str, str]):
    """Alias → field; an alias outside the map keeps its name.

    Where a mapped field has that name, the alias gets a prefix, or its cell would replace the field.
    """

    def __init__(self, field_map: FieldMap) -> None:
        super().__init__()
        self._names = Names(field_map)
        self.seen: set[str] = set()

    def __missing__(self, alias: str) -> str:
        name = self._named(alias)
        self[alias] = name
        self.seen.add(name)
        return name

    def _named(self, alias: str) -> str:
        known, field = self._names.alias(alias), self._names.field(alias)
        if known:
            return self._names.map.fields[known]
        return f"grid:{alias}" if field in self._names.mapped else field or alias


def _total(grid: Mapping[str, Any]) -> int | None:
    for name in ("TOTAL-COUNT", "TOTALROWS"):
        text = str(grid.get(name) or "").strip()
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
    return None
