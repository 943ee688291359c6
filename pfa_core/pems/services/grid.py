"""Answers of the EAM grid: rows in either shape, totals under either name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pfa_core.errors import InvalidData
from pfa_core.model.record import FIELDS
from pfa_core.model.values import shorten
from pfa_core.pems.http.failures import error_alert
from pfa_core.pems.mapping.columns import (
    MAX_LAYOUTS,
    Conversion,
    OrganizationOf,
    Row,
    as_text,
)
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.mapping.layouts import Layout, Layouts, repeated

MAX_WORDS = 300


class NotGrid(InvalidData):
    """An answer that is not one of a grid; the message says in what."""


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
        NotGrid: It is not a grid.
        InvalidData: A row has a column twice.
    """
    try:
        grid = answer["Result"]["ResultData"]["GRID"]
        rows = (grid.get("DATA") or {}).get("ROW") or []
        return GridPage(list(map(decode, rows)), _total(grid))
    except (KeyError, TypeError, AttributeError) as error:
        raise NotGrid(f"not an answer of a grid{_why_not(answer)}") from error


def _why_not(answer: Any) -> str:
    from pfa_core.pems.services.answers import GridAnswer, why_not

    return why_not(GridAnswer, answer)


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
        self._known = Layouts(whole)
        self._conversion = Conversion(whole, organization_of)
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._last_names: tuple[str, ...] = ()
        self._last = Layout(targets=())
        self._carried: set[str] = set()

    @property
    def carried(self) -> frozenset[str]:
        """Return the fields that the rows so far had cells for."""
        return frozenset(self._carried)

    def __call__(self, row: Any) -> Row:
        """Read cells written as `CELL: [{ALIAS_NAME, VALUE}]` or as `D: [{n, value}]`."""
        if "CELL" in row:
            cells = row["CELL"]
            names = tuple([cell["ALIAS_NAME"] for cell in cells])
            texts = [
                value if (value := cell.get("VALUE")).__class__ is str else as_text(value)
                for cell in cells
            ]
        else:
            cells = row["D"]
            names = tuple([cell["n"] for cell in cells])
            texts = [as_text(cell.get("value")) for cell in cells]
        layout = self._last if names == self._last_names else self._remembered(names)
        found = dict(zip(layout.targets, texts, strict=True))
        return self._conversion.of(found, layout, texts) if self._conversion.is_needed else found

    def _remembered(self, names: tuple[str, ...]) -> Layout:
        layout = self._layouts.get(names) or self._learn(names)
        self._last_names, self._last = names, layout
        return layout

    def _learn(self, names: tuple[str, ...]) -> Layout:
        layout = self._known.of_grid(names)
        if twice := repeated(names, layout.targets):
            raise InvalidData(
                f"PEMS's grid has a column twice in a row, {twice[0]!r} and {twice[1]!r}"
            )
        self._carried.update(FIELDS.keys() & layout.targets)
        if len(self._layouts) < MAX_LAYOUTS:
            self._layouts[names] = layout
        return layout


def _total(grid: Mapping[str, Any]) -> int | None:
    for name in ("TOTAL-COUNT", "TOTALROWS"):
        text = str(grid.get(name) or "").strip()
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
    return None
