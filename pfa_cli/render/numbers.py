"""Columns of numbers, which are aligned right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any


def numbers_in(rows: Sequence[Sequence[Any]]) -> frozenset[int]:
    """Return the indexes of the columns that hold numbers only."""
    width = len(rows[0]) if rows else 0
    return frozenset(index for index in range(width) if _are_numbers(row[index] for row in rows))


def _are_numbers(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        for value in present
    )
