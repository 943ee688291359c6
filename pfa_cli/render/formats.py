"""Output formats and the choices that go with one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
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
    XLSX = "xlsx"


class ErrorFormat(StrEnum):
    """Format of errors on stderr."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Look:
    """Choices for one result.

    `columns` is empty where --columns was not given. `terminal`: escape control characters of the data.
    `colored`: ANSI colours are allowed. `width`: cells of a line, 0 for any number. `unicode`: line-drawing
    characters are allowed. `formulas`: CSV cells may begin like a spreadsheet's formula. `header`: TSV begins with
    the names of its columns. `silent`: nothing is written. `pager`: the command that shows what is longer than the
    terminal, none where empty. `quiet`: results only. `omitted`: names of the columns for which there was no room,
    as they are found. `indented`: JSON is for people.
    """

    format: Format
    columns: tuple[str, ...] = ()
    _: KW_ONLY
    terminal: bool = False
    colored: bool = False
    width: int = 0
    unicode: bool = True
    formulas: bool = True
    header: bool = False
    silent: bool = False
    indented: bool = False
    pager: tuple[str, ...] = ()
    quiet: bool = False
    omitted: list[str] = field(default_factory=list, compare=False)

    @property
    def is_drawn(self) -> bool:
        """Whether a page or table is drawn for a terminal, or coloured as on one."""
        return self.format is Format.TABLE and (self.terminal or self.colored)

    @property
    def is_page(self) -> bool:
        """Whether the result is for people: a table, on a terminal or not."""
        return self.format in (Format.TABLE, Format.MARKDOWN)

    def omit(self, names: Iterable[str]) -> None:
        """Note columns that are not shown."""
        self.omitted.extend(name for name in names if name and name not in self.omitted)
