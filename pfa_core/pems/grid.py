"""Answers of the EAM grid: rows in either shape, totals under either name, alerts despite HTTP 200."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pfa_core.errors import InvalidData
from pfa_core.model.values import shorten


@dataclass(frozen=True, slots=True)
class GridPage:
    """The rows of one answer by field (aliases outside the map keep their own name), all values
    text, and the total that PEMS claims, None where it does not say."""

    rows: list[dict[str, str]]
    total: int | None


def decode_page(answer: Any, field_map: Mapping[str, str]) -> GridPage:
    """The rows of a grid answer.

    Raises:
        InvalidData: PEMS answered with an error alert, or with something that is no grid.
    """
    alert = _error_alert(answer)
    if alert:
        raise InvalidData(f"PEMS answered with an error: {alert}")
    try:
        grid = answer["Result"]["ResultData"]["GRID"]
        rows = (grid.get("DATA") or {}).get("ROW") or []
        decoded = [_decode_row(row, field_map) for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidData("this is no answer of a PEMS grid") from error
    return GridPage(decoded, _total(grid))


def _error_alert(answer: Any) -> str:
    alerts = answer.get("ErrorAlert") if isinstance(answer, dict) else None
    if not alerts:
        return ""
    first = alerts[0] if isinstance(alerts, list) else alerts
    return shorten(first.get("Message", first) if isinstance(first, dict) else first, 300)


def _decode_row(row: Any, field_map: Mapping[str, str]) -> dict[str, str]:
    return {
        field_map.get(name, name): "" if value is None else str(value)
        for name, value in _cells(row)
    }


def _cells(row: Any) -> Iterator[tuple[str, Any]]:
    """Cells as `CELL: [{ALIAS_NAME, VALUE}]` or as `D: [{n, value}]`."""
    if "CELL" in row:
        yield from ((cell["ALIAS_NAME"], cell.get("VALUE")) for cell in row["CELL"])
    else:
        yield from ((cell["n"], cell.get("value")) for cell in row["D"])


def _total(grid: Mapping[str, Any]) -> int | None:
    for name in ("TOTAL-COUNT", "TOTALROWS"):
        text = str(grid.get(name) or "").strip()
        if text.isascii() and text.isdigit():
            return int(text)
    return None
