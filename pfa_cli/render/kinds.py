"""Columns of tables by the kind of their content."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Content of a column, which decides what a narrow terminal may do to it."""

    KEY = "key"  # whole and always shown: it is what the next command names
    ID = "id"  # whole
    MONEY = "money"  # whole
    DATE = "date"  # whole
    NUMBER = "number"  # whole
    STATE = "state"  # whole
    TIME = "time"  # a day, then a time of it: folds between them
    BAR = "bar"  # whole; says in a picture what another column says in figures
    VALUE = "value"  # folds, but not within a number or date
    TEXT = "text"  # folds


WHOLE = frozenset((Kind.KEY, Kind.ID, Kind.MONEY, Kind.DATE, Kind.NUMBER, Kind.STATE, Kind.BAR))
RIGHT = frozenset((Kind.MONEY, Kind.NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; where room is short the one of the highest rank goes first.

    `key` is what --columns takes where the name is a heading; empty: the name.
    """

    name: str
    kind: Kind = Kind.TEXT
    rank: int = 0
    role: str = ""
    key: str = ""
