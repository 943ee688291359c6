"""Adapters between Python values and PostgreSQL's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from psycopg import Cursor, DataError, postgres
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.rows import RowMaker
from psycopg.types.array import ListDumper

from pfa_core.exact_json import Unreadable

Row = TypeVar("Row")


class TextsDumper(ListDumper):
    """Writes a list of texts as an array, ten thousand of them in one millisecond.

    psycopg's own dumper visits each element in Python, which takes 30. Here every element is quoted; a list
    with a quote, a backslash or a NUL in any of them is left to psycopg.
    """

    def dump(self, obj: list[Any]) -> Any:
        """Write the list as the text of an array."""
        if set(map(type, obj)) != {str}:
            return super().dump(obj)
        inside = '","'.join(obj)
        if "\\" in inside or "\0" in inside or inside.count('"') != 2 * (len(obj) - 1):
            return super().dump(obj)
        return f'{{"{inside}"}}'.encode()


# Stand for times before and after Python's years. A few hours of a time zone, or a subtraction of an hour, do
# not lead out of them.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, tzinfo=UTC)


class TimeLoader(Loader):
    """Reads a timestamptz; one that Python cannot hold is EARLIEST or LATEST."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        found = postgres.adapters.get_loader(oid, Format.TEXT)
        assert found is not None  # noqa: S101 - psycopg's own
        self._load = found(oid, context).load

    def load(self, data: Buffer) -> datetime:
        """Read the text of a time."""
        try:
            return self._load(data)
        except DataError:
            text = bytes(data)
            return EARLIEST if text.startswith(b"-") or text.endswith(b"BC") else LATEST


def object_or_none(value: Any) -> dict[str, Any] | None:
    """Return a stored object; Unreadable in place of another value."""
    if value is None or isinstance(value, dict):
        return value
    return Unreadable("not an object")


def objects(value: Any, key: str) -> list[dict[str, Any]]:
    """Return stored objects that have a text under the key.

    Unreadable stands for each other value.
    """
    items = value if isinstance(value, list) else [value]
    return [
        item
        if isinstance(item, dict) and isinstance(item.get(key), str)
        else Unreadable(f"not an object with {key}")
        for item in items
    ]


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def plain(row: Any) -> dict[str, Any]:
    """Make a dict of a dataclass like `dataclasses.asdict`.

    It makes no deep copies of the values.
    """
    return {name: getattr(row, name) for name in _names(type(row))}


def typed_row(kind: type[Row]) -> Callable[[Cursor[Any]], RowMaker[Row]]:
    """Make rows like psycopg's `class_row`, with StrEnum values.

    Each field that is declared as a StrEnum gets one.
    """
    enums = _enums(kind)

    def factory(cursor: Cursor[Any]) -> RowMaker[Row]:
        names = [column.name for column in cursor.description or ()]

        def make(values: Sequence[Any]) -> Row:
            row = dict(zip(names, values, strict=True))
            for name, enum in enums:
                if row[name] is not None:
                    row[name] = enum(row[name])
            return kind(**row)

        return make

    return factory


@cache
def _enums(kind: type) -> list[tuple[str, type[StrEnum]]]:
    """List the fields of a dataclass that hold a StrEnum, or one or None."""
    return [
        (name, part)
        for name, hint in get_type_hints(kind).items()
        for part in get_args(hint) or (hint,)
        if isinstance(part, type) and issubclass(part, StrEnum)
    ]
