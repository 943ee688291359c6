"""Rows in portions that one statement takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from psycopg.types.json import Jsonb

from pfa_core import exact_json
from pfa_core.store.adapters import plain

Item = TypeVar("Item")
# Rows of one statement: the client, and the server's process, hold this many at a time. PostgreSQL takes no
# array of more than 256 MiB as JSON, so that a portion of long texts ends earlier.
PORTION = 10_000
_CHARACTERS = 16 << 20
_AT_ONCE = 50  # rows that are written together: one by one they take half as long again


class Portion(NamedTuple):
    """Rows as a JSON parameter, and where they are among all rows."""

    json: Jsonb
    start: int
    stop: int


def json_portions(rows: Sequence[Any]) -> Iterator[Portion]:
    """Write dataclasses as JSON parameters of bounded size, in their order."""
    start, size = 0, 0
    texts: list[str] = []
    for stop, text in _written(rows):
        texts.append(text)
        size += len(text)
        if stop - start >= PORTION or size >= _CHARACTERS:
            yield Portion(_array(texts), start, stop)
            start, size, texts = stop, 0, []
    if texts:
        yield Portion(_array(texts), start, len(rows))


def portions(items: Iterable[Item], size: int | None = None) -> Iterator[list[Item]]:
    """Split items into lists of at most `size`, `PORTION` where None, in their order."""
    rest = iter(items)
    while portion := list(islice(rest, PORTION if size is None else size)):
        yield portion


def _written(rows: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """Write some rows at a time, without brackets.

    Yields:
        How many rows are written by then, and the text.
    """
    done = 0
    for some in portions(rows, _AT_ONCE):
        done += len(some)
        yield done, exact_json.dumps([plain(row) for row in some])[1:-1]


def _array(texts: Sequence[str]) -> Jsonb:
    return Jsonb(f"[{','.join(texts)}]", dumps=str)
