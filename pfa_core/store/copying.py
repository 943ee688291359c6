"""Records in COPY's text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, LiteralString

from psycopg import Connection

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_BACKSLASH, _TWO = "\\", "\\\\"
CHUNK = 500


def copy_records(
    conn: Connection[Any],
    statement: LiteralString,
    rows: Iterable[tuple[str, str]],
    *,
    head: str = "",
    tail: str = "",
) -> int:
    """COPY rows of id and JSON text, with `head` and `tail` in each line.

    Returns:
        The number of rows.
    """
    written = 0
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in _chunks(rows):
            copy.write("".join(f"{head}{_copy_fields(row)}{tail}\n" for row in chunk))
            written += len(chunk)
    return written


def _chunks(rows: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _copy_fields(row: tuple[str, str]) -> str:
    """Write a row in COPY's text format.

    JSON text contains neither tabs nor line ends.
    """
    pfa_id, text = row
    return f"{pfa_id.translate(_ESCAPES)}\t{text.replace(_BACKSLASH, _TWO)}"


def escaped(text: str) -> str:
    """Escape a text for COPY's text format."""
    return text.translate(_ESCAPES)
