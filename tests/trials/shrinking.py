"""The shortest part of a history that still fails: delta debugging over its turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def shortest(items: Sequence[Item], fails: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """A part of the items, in their order, that fails, and of which no item can be left out.

    Args:
        fails: Whether a part fails; the whole does. It may say no where it is tired: what is found then is short,
            but not the shortest.
    """
    kept = list(items)
    size = max(1, len(kept) // 2)
    while True:
        shrunk = _without_parts(kept, size, fails)
        if len(shrunk) == len(kept) and size == 1:
            return kept
        most = size // 2 if len(shrunk) == len(kept) else min(size, len(shrunk) // 2)
        size = max(1, most)
        kept = shrunk


def _without_parts(
    items: list[Item], size: int, fails: Callable[[Sequence[Item]], bool]
) -> list[Item]:
    """The items without those parts of a size, from the end, that can be left out."""
    kept = list(items)
    for begin in range((len(items) - 1) // size * size, -1, -size):
        fewer = kept[:begin] + kept[begin + size :]
        if fewer and fails(fewer):
            kept = fewer
    return kept
