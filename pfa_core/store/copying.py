"""Records in COPY's text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from tempfile import TemporaryFile
from typing import Any, BinaryIO, LiteralString, cast

from psycopg import Connection

from pfa_core.model.shape import Shape

# The digest of the text that a record was read from, and that text's shape.
Mark = tuple[bytes, Shape]
# A record to be stored: its id, its JSON text, what it was read from where that is recognized again.
Received = tuple[str, str, Mark | None]

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_BACKSLASH, _TWO = "\\", "\\\\"
CHUNK = 500
# Lines that are made while PostgreSQL takes in as many others, and their most characters.
BLOCK, _CHARACTERS = 5_000, 16 << 20
_SENT = 1 << 18  # bytes that are handed over at once, which libpq keeps until they are sent


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


def received_blocks(rows: Iterable[Received]) -> Iterator[tuple[int, bytes]]:
    """Yield records as many lines at once of id, JSON text and mark.

    Before the lines is how many they are.
    """
    shapes, lines, size = _Shapes(), list[str](), 0
    for pfa_id, text, mark in rows:
        lines.append(f"{_fields(pfa_id, text)}\t{shapes.mark(mark)}\n")
        size += len(text)
        if len(lines) == BLOCK or size >= _CHARACTERS:
            yield len(lines), "".join(lines).encode()
            lines, size = [], 0
    if lines:
        yield len(lines), "".join(lines).encode()


def copy_blocks(conn: Connection[Any], statement: LiteralString, blocks: Iterable[bytes]) -> None:
    """COPY lines that are in its format already."""
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for block in blocks:
            for start in range(0, len(block), _SENT):
                copy.write(block[start : start + _SENT])


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

    They wait in a file: they are as many as the records.

    Args:
        head: What is before the id in each line, `middle` what is behind it.
    """

    def __init__(self, head: str, middle: str) -> None:
        self._head, self._middle = head, middle
        self._lines = list[str]()
        self._file: BinaryIO | None = None
        self._shapes = _Shapes()
        self.first = self.last = ""

    def __enter__(self) -> Marks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, pfa_id: str, mark: Mark) -> None:
        """Add the mark of a record."""
        if not self.first:
            self.first = self.last = pfa_id
        elif pfa_id > self.last:
            self.last = pfa_id
        elif pfa_id < self.first:
            self.first = pfa_id
        shown = self._shapes.mark(mark)
        self._lines.append(f"{self._head}{pfa_id.translate(_ESCAPES)}{self._middle}{shown}\n")
        if len(self._lines) == 10 * CHUNK:
            self._file = self._file or cast("BinaryIO", TemporaryFile())  # noqa: SIM115  closed at the end
            self._file.write("".join(self._lines).encode())
            self._lines.clear()

    def copy(self, conn: Connection[Any], statement: LiteralString) -> None:
        """COPY the marks."""
        with conn.cursor() as cursor, cursor.copy(statement) as copy:
            if self._file:
                self._file.seek(0)
                while block := self._file.read(1 << 18):
                    copy.write(block)
            copy.write("".join(self._lines))


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
