"""Bars made of characters."""

from __future__ import annotations

from decimal import Decimal

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(part: Decimal, whole: Decimal, cells: int, *, unicode: bool) -> str:
    """Draw a part of a whole; anything above nothing is visible."""
    if part <= 0 or whole <= 0 or cells <= 0:
        return ""
    part = min(part, whole)
    if not unicode:
        return "#" * max(1, round(part * cells / whole))
    full, rest = divmod(max(1, round(part * cells * 8 / whole)), 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def balance(amount: Decimal, most: Decimal, cells: int, *, unicode: bool) -> str:
    """Draw an amount beside an axis: below zero to its left, above to its right.

    Args:
        most: The largest amount without its sign, which fills one side.
        cells: Width of one side.
    """
    axis, mark = ("│", "█") if unicode else ("|", "#")
    length = max(1, round(abs(amount) * cells / most)) if amount and most else 0
    left, right = (mark * length, "") if amount < 0 else ("", mark * length)
    return f"{left.rjust(cells)}{axis}{right.ljust(cells)}"
