"""Answers of the EAM grid: rows in either shape, totals under either name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pfa_core.errors import InvalidData
from pfa_core.model.values import shorten
from pfa_core.pems.http.failures import error_alert
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.mapping.steps import Chain

MAX_WORDS = 300

Row = dict[str, str]
RowDecoder = Callable[[Any], Row]


@dataclass(frozen=True, slots=True)
class GridPage:
    """One answer of the grid.

    Args:
        rows: Texts by field; aliases outside the map keep their own name.
        total: The total that PEMS claims, None where the answer has none.
    """

    rows: list[Row]
    total: int | None


def decode_page(answer: Any, field_map: Mapping[str, str] | FieldMap) -> GridPage:
    """Decode a grid answer; the transforms of a whole field map are applied.

    Raises:
        InvalidData: PEMS answered with an error alert, or not with a grid.
    """
    alert = error_alert(answer)
    if alert:
        raise InvalidData(f"PEMS answered with an error: {shorten(alert, MAX_WORDS)}")
    return decode_rows(answer, row_decoder(field_map))


def decode_rows(answer: Any, decode: RowDecoder) -> GridPage:
    """Decode an answer without an alert.

    Raises:
        InvalidData: It is not a grid.
    """
    try:
        grid = answer["Result"]["ResultData"]["GRID"]
        rows = (grid.get("DATA") or {}).get("ROW") or []
        return GridPage(list(map(decode, rows)), _total(grid))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidData("not an answer of a PEMS grid") from error


def row_decoder(field_map: Mapping[str, str] | FieldMap) -> RowDecoder:
    """Make the function that converts a row of PEMS to texts by field."""
    if not isinstance(field_map, FieldMap):
        return _plain_decoder(field_map)
    plain = _plain_decoder(field_map.fields)
    if not field_map.chains:
        return plain
    aliases = {name: alias for alias, name in field_map.fields.items()}
    chains = list(field_map.chains.items())
    return lambda row: _transformed(plain(row), chains, aliases)


def _transformed(row: Row, chains: Iterable[tuple[str, Chain]], aliases: Mapping[str, str]) -> Row:
    # Every chain reads the row as PEMS wrote it, so that the order of the map does not matter.
    cells = {aliases.get(name, name): value for name, value in row.items()}
    row.update([(name, chain.read(row.get(name, ""), cells)) for name, chain in chains])
    return row


class _Names(dict[str, str]):
    """Alias → field; an alias outside the map keeps its name.

    Where a mapped field has that name, the alias gets a prefix, or its cell would replace the field.
    """

    def __missing__(self, alias: str) -> str:
        name = f"grid:{alias}" if alias in self.values() else alias
        self[alias] = name
        return name


def _plain_decoder(fields: Mapping[str, str]) -> RowDecoder:
    names = _Names(fields)

    def decode(row: Any) -> Row:
        """Read cells written as `CELL: [{ALIAS_NAME, VALUE}]` or as `D: [{n, value}]`."""
        if "CELL" in row:
            return {
                names[cell["ALIAS_NAME"]]: value
                if (value := cell.get("VALUE")).__class__ is str
                else _as_text(value)
                for cell in row["CELL"]
            }
        return {names[cell["n"]]: _as_text(cell.get("value")) for cell in row["D"]}

    return decode


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, list | dict):  # not a cell of a grid; left for the cast to refuse
        return json.dumps(value, default=str)
    return "" if value is None else str(value)


def _total(grid: Mapping[str, Any]) -> int | None:
    for name in ("TOTAL-COUNT", "TOTALROWS"):
        text = str(grid.get(name) or "").strip()
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
    return None
