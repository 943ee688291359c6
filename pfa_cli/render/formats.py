"""Output formats and the choices that go with one."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum


class Format(StrEnum):
    """Format of the data on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MARKDOWN = "markdown"
    IDS = "ids"


@dataclass(frozen=True, slots=True)
class Look:
    """Choices for one result.

    `columns` is empty where --columns was not given. `terminal`: escape control characters of the data.
    `colored`: ANSI colours are allowed. `formulas`: CSV cells may begin like a spreadsheet's formula.
    `header`: TSV begins with the names of its columns. `silent`: nothing is written.
    `indented`: JSON is for people.
    """

    format: Format
    columns: tuple[str, ...] = ()
    _: KW_ONLY
    terminal: bool = False
    colored: bool = False
    formulas: bool = True
    header: bool = False
    silent: bool = False
    indented: bool = False
