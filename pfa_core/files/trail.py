"""Files of archived links of the audit trail.

They are lines of JSON, one for each link and each entry, packed by gzip:

    {"format": "pfa log archive", "version": 1, "organization": "HOLNG", "first": 1, "last": 812, "previous": "", …}
    {"link": 1, "linkId": "…", "entries": 2, "at": "2024-01-05T07:12:09.120931Z", "digest": "…"}
    {"entryId": "…", "at": "…", "userId": "anna", "action": "save", …, "before": {…}, "after": {…}}
    …
    {"end": {"links": 812, "entries": 3044}, "digest": "…", "sha256": "…"}     over all bytes before this line

An entry has the columns that are not null. Those of JSON are the text of PostgreSQL, so that the digests of the
chain are computed from the file alone: what the database digests is the text of a row.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from gzip import GzipFile
from hashlib import sha256
from typing import Any, BinaryIO, NamedTuple

from pfa_core.errors import InvalidData

FORMAT, VERSION = "pfa log archive", 1
_LEVEL = 3  # of gzip: a quarter more than the best one, in a fifth of the time
_LONGEST_LINE = 1 << 27
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    *("entryId", "at", "userId", "action", "pfaId", "modificationId", "sessionId", "runId"),
    *("reason", "restores", "before", "after", "base", "was"),
)
_JSON = frozenset(("before", "after", "base", "was"))
_ALWAYS = frozenset(("entryId", "at", "userId", "action"))
_DIGESTED = (
    *("userId", "action", "pfaId", "modificationId", "sessionId", "runId"),
    *("before", "after", "reason"),
)
# Of an entry the columns that are not null, those of JSON as text.
Entry = Mapping[str, str]
# In a row's text these are between quotes; blanks are those of C.
_QUOTED = re.compile(r'[\s"\\(),]', re.ASCII)
_RESTORES = re.compile(r"restores entry ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class TrailHead(NamedTuple):
    """What an archive says of itself.

    `previous` is the digest of the link before the first, in hex.
    """

    organization: str
    first: int
    last: int
    previous: str
    before: datetime


@dataclass(slots=True)
class TrailWriter:
    """Writes an archive: its head at once, then links and entries, then `finish`."""

    file: BinaryIO
    head: TrailHead
    _packed: GzipFile = field(init=False, repr=False)
    _whole: Any = field(default_factory=sha256, repr=False)

    def __post_init__(self) -> None:
        # Without name and time equal content makes an equal file.
        self._packed = GzipFile("", "wb", _LEVEL, self.file, mtime=0)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "organization": self.head.organization,
            "first": self.head.first,
            "last": self.head.last,
            "previous": self.head.previous,
            "before": _instant(self.head.before),
        }
        self.add(json.dumps(content).encode() + b"\n")

    def add(self, lines: bytes) -> None:
        """Write lines of links and entries."""
        self._whole.update(lines)
        self._packed.write(lines)

    def finish(self, entries: int, digest: bytes) -> None:
        """Write the end, without which the file counts as cut off."""
        end = {
            "end": {"links": self.head.last - self.head.first + 1, "entries": entries},
            "digest": digest.hex(),
            "sha256": self._whole.hexdigest(),
        }
        self._packed.write(json.dumps(end).encode() + b"\n")
        self._packed.close()


@dataclass(slots=True)
class TrailReader:
    """Reads an archive and verifies it.

    By checksums, and each link by its entries and the link before. `head` is checked when it is made, all else by
    `entries`. `digest` and `number` are those of the last link that was read, `read` the number of entries.
    `at_number`: the digest of the watched link, where it was read.

    Args:
        name: What messages call the file.
        watched: The number of the link whose digest is to be noted.
    """

    file: BinaryIO
    name: str
    head: TrailHead = field(init=False)
    _: KW_ONLY
    number: int = 0
    digest: bytes = b""
    read: int = 0
    watched: int = 0
    at_number: bytes | None = None
    _lines: GzipFile = field(init=False, repr=False)
    _whole: Any = field(default_factory=sha256, repr=False)

    def __post_init__(self) -> None:
        self.file.seek(0)
        self._lines = GzipFile("", "rb", fileobj=self.file)
        self.head = self._head()
        self.number, self.digest = self.head.first - 1, bytes.fromhex(self.head.previous)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, the oldest first.

        Those of a link are verified when the next one is asked for, the whole file at the end.

        Raises:
            InvalidData: It is cut off, or was altered.
        """
        line = self._line()
        while True:
            facts = self._facts(line)
            if "end" in facts:
                break
            self._whole.update(line)
            number = self._number(facts, "link")
            content, count = sha256(), 0
            while True:
                line = self._line()
                if not line.startswith(b'{"entryId"'):
                    break
                self._whole.update(line)
                entry = self._entry(line.decode("utf-8", "replace"))
                content.update(self._entry_digest(entry, str(facts.get("linkId"))))
                count += 1
                yield entry
            self._link(facts, number, count, content.digest())
        self._end(facts, line)

    def verify(self) -> None:
        """Read the whole file.

        Raises:
            InvalidData: It is cut off, or was altered.
        """
        for _ in self.entries():
            pass

    def _link(self, facts: Mapping[str, Any], number: int, count: int, content: bytes) -> None:
        if number != self.number + 1:
            raise self._altered(f"link {self.number + 1} is missing")
        if facts.get("entries") != count:
            raise self._altered(f"link {number} has {count} entries")
        row = _row(
            [self.head.organization, str(facts.get("linkId")), str(count), self._epoch(facts)]
        )
        link_facts = sha256(row + content).digest()
        digest = sha256(self.digest + number.to_bytes(8, "big") + link_facts).digest()
        if digest.hex() != facts.get("digest"):
            raise self._altered(f"link {number}, or an entry of it, was altered")
        self.number, self.digest, self.read = number, digest, self.read + count
        if number == self.watched:
            self.at_number = digest

    def _end(self, facts: Mapping[str, Any], line: bytes) -> None:
        end = {"links": self.head.last - self.head.first + 1, "entries": self.read}
        if self.number != self.head.last or facts["end"] != end:
            raise self._altered("it ends with another link than it says")
        if facts.get("digest") != self.digest.hex():
            raise self._altered("the end of its chain differs")
        if facts.get("sha256") != self._whole.hexdigest():
            raise self._altered("the checksum of the whole differs")
        if self._bytes(1):
            raise self._altered("bytes behind its end")
        self._whole.update(line)

    def _entry(self, text: str) -> Entry:
        """Read an entry of the only form that is written: what is verified is read."""
        values: dict[str, str] = {}
        place = 0
        try:
            for name in _COLUMNS:
                key = f'{", " if place else "{"}"{name}": '
                if not text.startswith(key, place):
                    continue
                begin = place + len(key)
                value, place = _scan(text, begin)
                values[name] = text[begin:place] if name in _JSON else value
            "".join(map(str, values.values())).encode()  # half a surrogate pair is not a text
        except (ValueError, RecursionError):
            values = {}
        if text[place:] != "}\n" or not values.keys() >= _ALWAYS:
            raise self._altered("a line that is not an entry")
        if not all(isinstance(value, str) for value in values.values()):
            raise self._altered("an entry with a column that is not a text")
        return values

    def _entry_digest(self, entry: Entry, link_id: str) -> bytes:
        """Digest an entry as the database does: see `entry_digest` of sql/audit_chain.sql."""
        row = [self.head.organization, entry["entryId"], self._epoch(entry)]
        row += [entry.get(name) for name in _DIGESTED]
        row.append(link_id)
        restored = None
        if entry["action"] == "restore":
            match = _RESTORES.fullmatch(entry.get("reason", ""))
            restored = match and match[1]
        restores, base, was = entry.get("restores"), entry.get("base"), entry.get("was")
        if was is not None:
            row += [restores, base, was]
        elif base is not None:
            row += [restores, base]
        elif restores != restored:
            row.append(restores)
        return sha256(_row(row)).digest()

    def _epoch(self, facts: Mapping[str, Any]) -> str:
        try:
            at = datetime.fromisoformat(facts["at"])
            microseconds = (at - _EPOCH) // timedelta(microseconds=1)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._altered("a line without its time") from None
        seconds, rest = divmod(abs(microseconds), 10**6)
        return f"{'-' if microseconds < 0 else ''}{seconds}.{rest:06d}"

    def _head(self) -> TrailHead:
        line = self._line()
        try:
            facts = json.loads(line)
            json.dumps(facts, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise InvalidData(
                f"{self.name} is not an archive of an audit trail",
                hint="it is made by: pfa log archive --before DATE --to FILE",
            )
        if facts.get("version") != VERSION:
            raise InvalidData(
                f"{self.name} has the form {facts.get('version')!r}, this program reads {VERSION}",
                hint="install the pfa that made it",
            )
        self._whole.update(line)
        try:
            head = TrailHead(
                organization=str(facts["organization"]),
                first=self._number(facts, "first"),
                last=self._number(facts, "last"),
                previous=str(facts["previous"]),
                before=datetime.fromisoformat(facts["before"]).astimezone(UTC),
            )
            length = len(bytes.fromhex(head.previous))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._altered("its first line does not say what it holds") from None
        if length != (32 if head.first > 1 else 0) or head.last < head.first:
            raise self._altered("its first line contradicts itself")
        return head

    def _number(self, facts: Mapping[str, Any], key: str) -> int:
        number = facts.get(key)
        if type(number) is not int or not 0 < number < 2**63:
            raise self._altered(f"a line without {key}")
        return number

    def _facts(self, line: bytes) -> dict[str, Any]:
        try:
            facts = json.loads(line)
            json.dumps(facts, ensure_ascii=False).encode()  # half a surrogate pair is not a text
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict):
            raise self._altered("a line that says nothing")
        return facts

    def _line(self) -> bytes:
        line = self._bytes(_LONGEST_LINE, line=True)
        if not line.endswith(b"\n"):
            raise self._refused("is cut off")
        return line

    def _bytes(self, most: int, *, line: bool = False) -> bytes:
        try:
            return self._lines.readline(most) if line else self._lines.read(most)
        except EOFError:
            raise self._refused("is cut off") from None
        except (OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise self._altered("it cannot be unpacked") from None

    def _altered(self, what: str) -> InvalidData:
        return self._refused(f"was altered: {what}")

    def _refused(self, what: str) -> InvalidData:
        return InvalidData(
            f"{self.name} {what}", hint="copy it again, and compare with: pfa log --action archive"
        )


def _row(values: list[str | None]) -> bytes:
    """Write a row as PostgreSQL does.

    Null is nothing, and what is ambiguous is between quotes.
    """
    return f"({','.join(map(_cell, values))})".encode()


def _cell(value: str | None) -> str:
    if value is None:
        return ""
    if value and not _QUOTED.search(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
