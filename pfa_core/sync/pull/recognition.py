"""Recognition of lines and rows that a record of the mirror was read from.

A digest of each text is kept beside the record, with the version and the transaction that wrote the record
(`pfa_digest`). An equal digest means that the record is surely unchanged: the text needs no parsing, no checks
and no comparison. An unequal one means nothing. Whatever else the record depends on is digested too: the
organization and its settings, the format, the field map, and the program's own code.
"""

from __future__ import annotations

import codecs
import json
import sys
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.resources import files
from itertools import compress
from struct import Struct
from typing import Any

from pfa_core.model.shape import Shape, joined
from pfa_core.store.digests import Part, State

SIZE = 16  # bytes of a digest
# Unknown names of one record that are kept; a record with more is read every time.
MAX_UNKNOWN = 100
# Modules that decide what a text becomes: a record that other code has read is read again.
_RULES = (
    "model",
    "pems/mapping",
    "exact_json.py",
    "files/baseline.py",
    "files/dialect.py",
    "files/own_values.py",
    "files/reading.py",
    "pems/services/grid.py",
    "pems/profile.py",
    "sync/pull/changed_lines.py",
    "sync/pull/file_rows.py",
    "sync/pull/intake.py",
    "sync/pull/recognition.py",
)
_PAIR = Struct("=QQ")
_SEPARATOR = "\x1f"


def _rules() -> bytes:
    """Digest the code that reads records, as it is when it is imported."""
    root = files("pfa_core")
    found = blake2b(sys.version.encode())
    for name in _RULES:
        place = root.joinpath(name)
        modules = [place] if place.is_file() else _modules(place)
        for module in modules:
            found.update(module.name.encode() + b"\0" + module.read_bytes())
    return found.digest()


def _modules(folder: Any) -> list[Any]:
    """List the modules of a package and of those in it, in order."""
    found = list[Any]()
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            found += _modules(entry)
        elif entry.name.endswith(".py"):
            found.append(entry)
    return found


# Read with the modules themselves: after an upgrade in place a running process goes on with what it has loaded.
RULES = _rules()


class Known:
    """The digests of an organization, 29 to 37 bytes each.

    Open addressing by the digests' own bits. A set of as many `bytes` takes four times as much.

    Args:
        state: What differs after a transaction has changed a record.
    """

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._digests, self._shape_of, self._shapes = array("Q"), array("I"), list[Shape]()
        records = versions = 0
        for part in parts:
            self._digests.frombytes(part.digests)
            number = array("I", [len(self._shapes)])
            self._shape_of.extend(number * (len(part.digests) // SIZE))
            self._shapes.append(part.shape)
            records, versions = records + part.records, versions + part.versions
        self.state = State(records, versions)
        self._seen = bytearray(len(self._shape_of))
        size = 1 << max(4, (2 * len(self)).bit_length())
        self._mask, self._slots = size - 1, array("I", bytes(4 * size))
        for number, first in enumerate(self._digests[::2], 1):
            place = first & self._mask
            while self._slots[place]:
                place = place + 1 & self._mask
            self._slots[place] = number

    def __len__(self) -> int:
        return len(self._shape_of)

    def find(self, digest: bytes) -> int:
        """Return the number of a digest, from 1; 0 for an unknown one."""
        first, second = _PAIR.unpack(digest)
        digests, slots, place = self._digests, self._slots, first & self._mask
        while number := slots[place]:
            if digests[2 * number - 2] == first and digests[2 * number - 1] == second:
                return number
            place = place + 1 & self._mask
        return 0

    def see(self, digest: bytes) -> bool:
        """Note that a digest was seen; False where it is unknown or was seen before."""
        number = self.find(digest)
        if not number or self._seen[number - 1]:
            return False
        self._seen[number - 1] = 1
        return True

    def was_seen(self, digest: bytes) -> bool:
        """Return whether `see` has noted a digest."""
        number = self.find(digest)
        return bool(number and self._seen[number - 1])

    def any_seen(self, digests: bytes) -> bool:
        """Return whether `see` has noted one of several digests, one behind the other."""
        starts = range(0, len(digests), SIZE)
        return any(self.was_seen(digests[start : start + SIZE]) for start in starts)

    def seen_shape(self) -> Shape:
        """Return the shape of all texts that were seen."""
        numbers = set(compress(self._shape_of, self._seen))
        return joined(self._shapes[number] for number in numbers)


@dataclass
class Recognition:
    """Digests of one pull's texts, beside those of the mirror's records.

    Args:
        organization_id: Digests are of one organization's records.
        only_currency: Records that name another one are refused.
        known: The digests of records that are as the mirror has them.
        line: The digest of the line that was read last; empty for what is not read by lines.
    """

    organization_id: str
    only_currency: str | None = None
    known: Known = field(default_factory=Known)
    line: bytes = b""

    def __post_init__(self) -> None:
        self._rows = {textual: self._bound("row", textual) for textual in (False, True)}
        self._names: Mapping[str, Any] | None = None

    def begin_lines(self, names: Mapping[str, Any] | None) -> None:
        """Begin a file; its lines are not digested where None is given.

        Args:
            names: What decides under which names a record's values stand.
        """
        self.line, self._names = b"", names

    def _bound(self, kind: str, facts: object) -> blake2b:
        about = [kind, facts, self.organization_id, self.only_currency]
        text = json.dumps(about, sort_keys=True).encode()
        return blake2b(blake2b(RULES + text).digest(), digest_size=SIZE)

    def unread(
        self, lines: Iterable[bytes], table: Sequence[object] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that have to be read, each with its number from 1.

        Before each, and at the end, an empty one stands for the unchanged ones, with how many they are.

        Args:
            table: What decides how the rows of a table are read, whose lines after the header these are.
        """
        if self._names is None:
            yield from enumerate(lines, 1)
            return
        facts = self._names if table is None else [self._names, *table]
        same, see = 0, self.known.see if self.known else None
        begin = self._bound("line", facts).copy
        for number, line in enumerate(lines, 1):
            bound = begin()
            # A mark of the byte order counts for nothing at the beginning of a file alone.
            marked = number == 1 and table is None
            text = line.removeprefix(codecs.BOM_UTF8) if marked else line
            bound.update(text.removesuffix(b"\n").removesuffix(b"\r"))
            digest = bound.digest()
            if see and see(digest):
                same += 1
                if same == 1000:
                    yield same, b""
                    same = 0
                continue
            if same:
                yield same, b""
                same = 0
            self.line = digest
            yield number, line
        if same:
            yield same, b""

    def forget_line(self) -> None:
        """Let the line that was yielded last be none of a record."""
        self.line = b""

    def of_row(self, row: Mapping[str, Any], *, textual: bool) -> bytes:
        """Digest a row by its names and values in their order.

        Empty where that is not possible.
        """
        if textual:
            text = _SEPARATOR.join([*row, *row.values()])
            if text.count(_SEPARATOR) != 2 * len(row) - 1:
                return b""
        else:
            text = repr(row)
        bound = self._rows[textual].copy()
        try:
            bound.update(text.encode())
        except UnicodeEncodeError:
            return b""
        return bound.digest()

    def knows(self, digest: bytes) -> bool:
        """Return whether the record of a row is surely unchanged."""
        return bool(digest and self.known and self.known.find(digest))


def is_worthwhile(records: int, sizes: Collection[int]) -> bool:
    """Return whether reading an organization's digests is less than what it saves.

    One takes a twentieth of what an unchanged record takes without it; a record has some hundred bytes, and
    a tenth of that packed.
    """
    return sum(sizes) >= 8 * records
