"""Portions of changes by their number and by the length of their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pfa_core.model.delta import Change


def text_length(change: Change) -> int:
    """Count the characters of a change's texts."""
    length = _characters(change.delta)
    return length + _characters(change.read_only) if change.read_only else length


def portions_by_size(
    changes: Iterable[Change], number: int, characters: int
) -> Iterator[list[Change]]:
    """Split changes into lists by their number and their texts.

    Each has at most `number`, and ends with the change that makes its texts `characters` long.
    """
    some: list[Change] = []
    size = 0
    for change in changes:
        some.append(change)
        size += text_length(change)
        if len(some) == number or size >= characters:
            yield some
            some, size = [], 0
    if some:
        yield some


def _characters(values: Any) -> int:
    # A dict first: whether something is a Mapping takes as long as to add up a delta.
    if type(values) is not dict and not isinstance(values, Mapping):
        return 0  # refused as it is
    length = 0
    for value in values.values():  # a generator would take twice as long
        if isinstance(value, str):
            length += len(value)
    return length
