"""Records in COPY's text format."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, LiteralString

from psycopg import Connection

from pfa_core.model.shape import Shape

# The digest of the text that a record was read from, and that text's shape.
Mark = tuple[bytes, Shape]
# A record to be stored: its id, its JSON text, what it was read from where that is recognized again.
Received = tuple[str, str, Mark | None]

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_BACKSLASH, _TWO = "\\", "\\\\"
CHUNK = 500


def copy_records(
    conn: Connection[Any],
    statement: LiteralString,
    rows: Iterable[Received],
    *,
    head: str = "",
    tail: str = "",
    marks: Marks | None = None,
) -> int:
    """COPY records as rows of id and JSON text, with `head` and `tail` in each line.

    Args:
        marks: Takes what the records were read from.

    Returns:
        The number of rows.
    """

    def lines() -> Iterator[str]:
        for pfa_id, text, mark in rows:
            if mark and marks is not None:
                marks.add(pfa_id, mark)
            yield f"{head}{_fields(pfa_id, text)}{tail}\n"

    return _copied(conn, statement, lines())


def copy_received(conn: Connection[Any], statement: LiteralString, rows: Iterable[Received]) -> int:
    """COPY records as rows of id, JSON text and mark; return their number."""
    shapes = _Shapes()
    return _copied(
        conn,
        statement,
        (f"{_fields(pfa_id, text)}\t{shapes.mark(mark)}\n" for pfa_id, text, mark in rows),
    )


def _copied(conn: Connection[Any], statement: LiteralString, lines: Iterator[str]) -> int:
    written = 0
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        while chunk := list(islice(lines, CHUNK)):
            copy.write("".join(chunk))
            written += len(chunk)
    return written


def _fields(pfa_id: str, text: str) -> str:
    """Write id and JSON text in COPY's text format.

    JSON text contains neither tabs nor line ends.
    """
    return f"{pfa_id.translate(_ESCAPES)}\t{text.replace(_BACKSLASH, _TWO)}"


class Marks:
    """The marks of records that are being copied; they are copied behind them.

    They are many: digests one behind the other, shapes by number.
    """

    def __init__(self) -> None:
        self._ids, self._digests, self._numbers = list[str](), bytearray(), array("I")
        self._shapes: dict[Shape, int] = {}
        self._last: tuple[Shape | None, int] = (None, 0)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def first(self) -> str:
        """Return the least id; there is one."""
        return min(self._ids)

    @property
    def last(self) -> str:
        """Return the greatest id."""
        return max(self._ids)

    def add(self, pfa_id: str, mark: Mark) -> None:
        """Add the mark of a record."""
        digest, shape = mark
        if shape is not self._last[0]:
            self._last = shape, self._shapes.setdefault(shape, len(self._shapes))
        self._ids.append(pfa_id)
        self._digests += digest
        self._numbers.append(self._last[1])

    def copy(self, conn: Connection[Any], statement: LiteralString, head: str, middle: str) -> None:
        """COPY the marks, with `head` before the id and `middle` behind it."""
        shapes = [_shape_text(shape) for shape in self._shapes]
        digests = memoryview(self._digests)
        lines = (
            f"{head}{pfa_id.translate(_ESCAPES)}{middle}\\\\x{digests[place : place + 16].hex()}"
            f"\t{shapes[number]}\n"
            for place, pfa_id, number in zip(
                range(0, len(digests), 16), self._ids, self._numbers, strict=True
            )
        )
        _copied(conn, statement, lines)


class _Shapes:
    """The texts of shapes; nearly all records have the same."""

    def __init__(self) -> None:
        self._last: Shape | None = None
        self._text = ""

    def mark(self, mark: Mark | None) -> str:
        if mark is None:
            return "\\N\t\\N\t\\N"
        digest, shape = mark
        if shape is not self._last:
            self._last, self._text = shape, _shape_text(shape)
        return f"\\\\x{digest.hex()}\t{self._text}"


def _shape_text(shape: Shape) -> str:
    """Write bits and unknown names of a shape in COPY's text format."""
    if not shape.unknown:
        return f"{shape.bits}\t\\N"
    names = (name.replace("\\", "\\\\").replace('"', '\\"') for name in shape.unknown)
    listed = ",".join(f'"{name}"' for name in names)
    return f"{shape.bits}\t{escaped(f'{{{listed}}}')}"


def escaped(text: str) -> str:
    """Escape a text for COPY's text format."""
    return text.translate(_ESCAPES)
