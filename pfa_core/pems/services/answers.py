"""Shapes of the answers of PEMS, and what is wrong with one that is not read.

Loaded to explain a refusal alone. A reason names keys of pfa's own shapes and positions, never what PEMS
wrote: that may hold a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pfa_core.errors import FaultCode
from pfa_core.shapes import AfterValidator, OpenShape, find_faults, key, place_text, refused

MAX_REASONS = 3


class Cell(OpenShape):
    """A cell of the grid: its alias and its value."""

    name: str = key("alias", "a text", default=..., alias="ALIAS_NAME")


class ShortCell(OpenShape):
    """A cell of the grid's other form."""

    name: str = key("alias", "a text", default=..., alias="n")


class CellRow(OpenShape):
    """A row of the grid."""

    cells: list[Cell] = key("its cells", "a list of cells", default=..., alias="CELL")


class ShortRow(OpenShape):
    """A row of the grid in its other form."""

    cells: list[ShortCell] = key("its cells", "a list of cells", default=..., alias="D")


def _row(row: Any) -> Any:
    found = find_faults(CellRow if isinstance(row, dict) and "CELL" in row else ShortRow, row)
    if found:
        place = place_text(found[0].place)
        raise refused(found[0].code, f"{place}{' ' if place else ''}{found[0].reason}")
    return row


Row = Annotated[Any, AfterValidator(_row)]


class Data(OpenShape):
    """The rows of the grid."""

    rows: list[Row] | None = key("its rows", "a list of rows", alias="ROW")


class Grid(OpenShape):
    """The grid."""

    data: Data | None = key("its data", "an object", alias="DATA")


class ResultData(OpenShape):
    """The data of a result."""

    grid: Grid = key("the grid", "an object", default=..., alias="GRID")


class Result(OpenShape):
    """The result of a request."""

    data: ResultData = key("its data", "an object", default=..., alias="ResultData")


class GridAnswer(OpenShape):
    """An answer of the grid."""

    result: Result = key("the result", "an object", default=..., alias="Result")


def _version(value: Any) -> Any:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,18}", str(value), re.ASCII):
        raise refused(FaultCode.INVALID_TYPE, "must be a number of at most 18 digits")
    return value


Version = Annotated[Any, AfterValidator(_version)]


class RecordAnswer(OpenShape):
    """An answer of the REST service to a read."""

    version: Version = key("version of the record", default=...)
    data: dict[str, Any] = key("its fields", "an object", default=...)


class WriteAnswer(OpenShape):
    """An answer of the REST service to a write."""

    version: Version = key("version after the write", default=..., alias="newVersion")


def why_not(shape: type[OpenShape], answer: Any) -> str:
    """Say in what an answer is not of a shape, as `: KEY REASON`; empty where it is."""
    found = find_faults(shape, answer)
    reasons = [" ".join(filter(None, (place_text(each.place), each.reason))) for each in found]
    more = len(reasons) - MAX_REASONS
    if more > 0:
        reasons[MAX_REASONS:] = [f"{more:,} more"]
    return f": {', '.join(reasons)}" if reasons else ""
