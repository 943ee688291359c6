"""The parts of a page: sections with figures, charts, tables.

They hold values, not texts: each form of a page writes the same numbers in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

Value = str | int | Decimal | datetime | None


class Kind(Enum):
    """Content of a value, which decides how it is written."""

    TEXT = "text"
    KEY = "key"  # an id or a name to type
    COUNT = "count"
    MONEY = "money"
    CHANGE = "change"  # money with its sign: above zero is more cost
    PERCENT = "percent"  # of change, with its sign
    TIME = "time"

    @property
    def is_number(self) -> bool:
        """Return whether the values stand at the right."""
        return self in (Kind.COUNT, Kind.MONEY, Kind.CHANGE, Kind.PERCENT)


class Role(Enum):
    """What a row of a table stands for."""

    PLAIN = "plain"
    OTHERS = "others"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; where room is short an extra one is left out."""

    name: str
    kind: Kind = Kind.TEXT
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; the first value names it."""

    values: tuple[Value, ...]
    role: Role = Role.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with a caption; detailed ones stand side by side."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    is_detail: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of its own, with what it says beside it."""

    label: str
    value: Value
    kind: Kind
    note: str = ""


class ChartKind(Enum):
    """How a chart is drawn."""

    BARS = "bars"  # of names, from left to right
    COLUMNS = "columns"  # of periods, upwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Two series of amounts or counts: a reference, and what is compared with it.

    Args:
        marked: The label of a period that is marked as the present one; empty: none.
        notes: Of each label, what stands beside it.
    """

    kind: ChartKind
    title: str
    summary: str
    unit: str
    labels: tuple[str, ...]
    reference: str
    reference_values: tuple[Decimal, ...]
    series: str
    values: tuple[Decimal, ...]
    notes: tuple[str, ...] = ()
    marked: str = ""
    is_money: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section under its heading.

    `name` is its anchor, `commands` are command lines to type.

    Args:
        title_of_tables: The heading where columns are not drawn; empty: the title says it too.
        sheet_ends: Rows below all of its tables where these follow one another in a sheet.
    """

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    chart: Chart | None = None
    tables: tuple[Table, ...] = ()
    commands: tuple[str, ...] = ()
    title_of_tables: str = ""
    sheet_ends: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: who asked, for what, when; what it says at once; its sections.

    `subject` is what it is about, where the title does not say it.
    """

    title: str
    subject: str
    facts: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, str], ...]
    made_at: datetime
    lead: str
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
