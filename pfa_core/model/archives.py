"""Archives of the audit trail: which links of the chain are in which file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArchive:
    """A part of the audit trail that is in a file in place of the database.

    `first` to `last` are its links, `entries` are in them, `anchor` is the end of the chain there, and `sha256` the
    checksum of the file, whose last part of the name is `file`. The links end before the time `before`. `kept` of
    these and earlier links are in the database too, since something needs them; `kept_digest` covers those.
    """

    first: int
    last: int
    entries: int
    anchor: str
    before: datetime
    file: str
    sha256: str
    kept: int
    kept_digest: str

    @property
    def links(self) -> int:
        """Return how many links there are in the file."""
        return self.last - self.first + 1

    @property
    def digest(self) -> bytes:
        """Return the digest of its last link."""
        return bytes.fromhex(self.anchor.partition(":")[2])

    @property
    def day(self) -> str:
        """Return from when on entries are in the database, for people."""
        return f"{self.before.astimezone(UTC):%Y-%m-%d %H:%M} UTC".replace(" 00:00 UTC", "")

    def content(self) -> dict[str, Any]:
        """Return what an entry of the trail keeps of it."""
        return {
            "first": self.first,
            "last": self.last,
            "entries": self.entries,
            "anchor": self.anchor,
            "before": self.before.astimezone(UTC).isoformat(),
            "file": self.file,
            "sha256": self.sha256,
            "kept": self.kept,
            "keptDigest": self.kept_digest,
        }


def archive_of(content: object) -> LogArchive | None:
    """Read an archive from what an entry keeps; None: it does not say one."""
    if not isinstance(content, Mapping):
        return None
    try:
        found = LogArchive(
            first=_number(content["first"]),
            last=_number(content["last"]),
            entries=_number(content["entries"]),
            anchor=str(content["anchor"]),
            before=datetime.fromisoformat(str(content["before"])).astimezone(UTC),
            file=str(content["file"]),
            sha256=str(content["sha256"]),
            kept=_number(content["kept"]),
            kept_digest=str(content["keptDigest"]),
        )
        number, _, digest = found.anchor.partition(":")
        whole = 0 < found.first <= found.last and number == str(found.last)
        return found if whole and len(bytes.fromhex(digest)) == 32 else None
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def in_order(contents: Iterable[object]) -> Sequence[LogArchive]:
    """Return the archives that entries say, in the order of their links."""
    found = filter(None, map(archive_of, contents))
    return sorted(found, key=lambda one: one.last)


def named(archives: Iterable[LogArchive]) -> str:
    """Return the names of their files, for people."""
    names = [one.file for one in archives]
    return ", ".join(names[-3:]) if len(names) <= 3 else f"{', '.join(names[-3:])} and earlier ones"


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError
    if not 0 <= value <= _LARGEST:
        raise ValueError
    return int(value)
