"""Bundles: files of rows in parts, each part and the whole with a checksum.

    {"format": "pfa organization", "version": 1, …}                          what it is about
    {"part": "pfa_mirror", "rows": 5000, "bytes": 81920, "size": 655360, "sha256": "…"}
    81,920 bytes: 655,360 of rows in COPY's text format, compressed by zlib
    …
    {"end": {"pfa_mirror": 5000, …}, "sha256": "…"}                          over all bytes before this line

Reading it whole finds a cut and any change that was not made on purpose: who writes a bundle can write checksums.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO

from pfa_core.errors import InvalidData

FORMAT, VERSION = "pfa organization", 1
BLOCK = 4 << 20  # bytes of rows in a part, or one row that has more
_LONGEST_PART, _LONGEST_LINE = 1 << 29, 1 << 20
_FAST = 1  # a level of zlib: a quarter of the size, a tenth of the time of the best one


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table, each with its line end."""

    table: str
    rows: int
    content: bytes


@dataclass(slots=True)
class BundleWriter:
    """Writes a bundle: its head at once, then parts, then `finish`.

    `digest` is that of the file, once it is finished.
    """

    file: BinaryIO
    head: Mapping[str, Any]
    _: KW_ONLY
    rows: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    _whole: Any = field(default_factory=sha256, repr=False)

    def __post_init__(self) -> None:
        self._write(_line({"format": FORMAT, "version": VERSION, **self.head}))

    def add(self, table: str, blocks: Iterator[bytes]) -> int:
        """Write the rows of a table, in blocks of whole rows; return their number."""
        self.rows[table] = 0
        for content in _gathered(blocks):
            packed = zlib.compress(content, _FAST)
            rows = content.count(b"\n")
            facts = {
                "part": table,
                "rows": rows,
                "bytes": len(packed),
                "size": len(content),
                "sha256": sha256(packed).hexdigest(),
            }
            self._write(_line(facts))
            self._write(packed)
            self.rows[table] += rows
        return self.rows[table]

    def finish(self) -> None:
        """Write the end, without which the bundle counts as cut off."""
        self._write(_line({"end": self.rows, "sha256": self._whole.hexdigest()}))
        self.digest = self._whole.hexdigest()

    def _write(self, content: bytes) -> None:
        self._whole.update(content)
        self.file.write(content)


@dataclass(slots=True)
class BundleReader:
    """Reads a bundle; `head` is checked when it is made, all else by `parts`.

    `rows` and `digest` are known once all parts were read.

    Args:
        name: What messages call the file.
    """

    file: BinaryIO
    name: str
    _: KW_ONLY
    head: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        self.head = self._first(sha256())

    def parts(self, tables: Sequence[str]) -> Iterator[Part]:
        """Yield the parts from the beginning, each after its checksum.

        The last step checks the whole.

        Args:
            tables: The tables that may come, in their order.

        Raises:
            InvalidData: It is cut off, was altered, or has another table.
        """
        whole, counts, left = sha256(), dict.fromkeys(tables, 0), list(tables)
        self._first(whole)
        while True:
            line = self._line()
            facts = self._facts(line)
            if "end" in facts:
                break
            whole.update(line)
            part = self._part(facts, whole)
            while left and left[0] != part.table:
                left.pop(0)
            if not left:
                raise self._altered(f"an unexpected part {part.table!r}")
            counts[part.table] += part.rows
            yield part
        if facts.get("sha256") != whole.hexdigest() or facts["end"] != counts:
            raise self._altered("the checksum of the whole differs")
        if self.file.read(1):
            raise self._altered("bytes behind its end")
        whole.update(line)
        self.rows, self.digest = counts, whole.hexdigest()

    def _first(self, whole: Any) -> dict[str, Any]:
        self.file.seek(0)
        line = self.file.readline(_LONGEST_LINE)
        whole.update(line)
        try:
            head = json.loads(line)
        except (ValueError, RecursionError):
            head = None
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise InvalidData(
                f"{self.name} is not a file of an organization; nothing was stored",
                hint="it is made by: pfa org export CODE FILE",
            )
        if head.get("version") != VERSION:
            raise InvalidData(
                f"{self.name} has the form {head.get('version')!r}, this program reads {VERSION};"
                " nothing was stored",
                hint="install the pfa that made it",
            )
        return head

    def _part(self, facts: dict[str, Any], whole: Any) -> Part:
        table = facts.get("part")
        if not isinstance(table, str):
            raise self._altered("a part without a name")
        rows, length, size = (self._number(facts, key) for key in ("rows", "bytes", "size"))
        packed = self.file.read(length)
        if len(packed) < length:
            raise self._cut()
        whole.update(packed)
        if sha256(packed).hexdigest() != facts.get("sha256"):
            raise self._altered(f"the checksum of a part of {table} differs")
        content = self._unpacked(packed, size)
        if content.count(b"\n") != rows or not content.endswith(b"\n"):
            raise self._altered(f"a part of {table} has other rows than it says")
        return Part(table, rows, content)

    def _number(self, facts: dict[str, Any], key: str) -> int:
        number = facts.get(key)
        if type(number) is not int or not 0 <= number <= _LONGEST_PART:
            raise self._altered(f"a part without {key}")
        return number

    def _unpacked(self, packed: bytes, size: int) -> bytes:
        """Unpack as many bytes as there should be: a few kilobytes can hold gigabytes."""
        unpacking = zlib.decompressobj()
        try:
            content = unpacking.decompress(packed, size + 1)
        except zlib.error:
            content = b""
        if len(content) != size or not unpacking.eof or unpacking.unused_data:
            raise self._altered("a part cannot be unpacked")
        return content

    def _line(self) -> bytes:
        line = self.file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise self._cut()
        return line

    def _facts(self, line: bytes) -> dict[str, Any]:
        try:
            facts = json.loads(line)
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict):
            raise self._altered("a line that says nothing")
        return facts

    def _cut(self) -> InvalidData:
        return self._refused("is cut off")

    def _altered(self, what: str) -> InvalidData:
        return self._refused(f"was altered: {what}")

    def _refused(self, what: str) -> InvalidData:
        return InvalidData(
            f"{self.name} {what}; nothing was stored",
            hint="copy it again, and compare: sha256sum FILE",
        )


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same rows in blocks of about the same size."""
    kept, size = list[bytes](), 0
    for block in blocks:
        kept.append(block)
        size += len(block)
        if size >= BLOCK:
            yield b"".join(kept)
            kept, size = [], 0
    if kept:
        yield b"".join(kept)


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
