"""Values in values, as a parser of TOML returns them."""

from __future__ import annotations

from typing import Any

# A configuration has five; what is written to be deep ends in the recursion of whatever looks at it.
MOST_LEVELS = 20


def is_deep(value: Any, most: int = MOST_LEVELS) -> bool:
    """Return whether tables and lists are nested deeper than so many levels."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)
