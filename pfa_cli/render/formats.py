"""The formats of the command line, and the choices that go with one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MARKDOWN = "markdown"
    IDS = "ids"


@dataclass(frozen=True, slots=True)
class Look:
    """How one result is written. `columns` is empty where nobody asked for any; `terminal` says
    that control characters in the data must not get through; `colored`, that ANSI colours may;
    `formulas`, that CSV cells may begin as a spreadsheet's formulas do."""

    format: Format
    columns: tuple[str, ...] = ()
    terminal: bool = False
    colored: bool = False
    formulas: bool = True
