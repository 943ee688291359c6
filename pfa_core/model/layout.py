"""Layouts of lines that the database composes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LineForm(StrEnum):
    """The form of a line: a row of CSV or TSV, or an element of JSON."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Layout:
    """A form, and the columns of a row in their order.

    An element of JSON has all of them.
    """

    form: LineForm
    columns: tuple[str, ...] = ()
