"""Archived links of the audit trail, read and removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.model.archives import LogArchive, in_order
from pfa_core.model.ids import OrganizationId
from pfa_core.store import audit_chain
from pfa_core.store.audit_chain import Head

_SQL, _CHAIN = sql.statements("archives"), sql.statements("audit_chain")
_KEPT = _SQL["kept"].format(digest=_CHAIN["entry_digest"], facts=_CHAIN["link_facts"])
# One column of text without a line end in it: as it is, a line each, since no JSON has these characters.
_COPY: LiteralString = (
    "COPY ({}) TO STDOUT (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01', ENCODING 'UTF8')"
)
_READ = _COPY.format(_SQL["lines"].rstrip(";"))
# Links that a statement reads or removes: each is planned for as many, and ends soon enough to be interrupted.
PORTION = 20_000
_CHECKED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLink:
    """A link that is archived and in the database too, checked against its entries."""

    number: int
    link_id: str
    entry_count: int
    found: int
    digest: bytes
    facts: bytes
    same_content: bool


class Removed(NamedTuple):
    """How many links and entries were removed."""

    links: int
    entries: int


def archives(conn: Connection[Any], organization_id: OrganizationId) -> Sequence[LogArchive]:
    """List the archives of the organization's trail, in the order of their links."""
    rows = conn.execute(_SQL["archives"], {"organization_id": organization_id})
    return in_order(row[0] for row in rows)


def last(conn: Connection[Any], organization_id: OrganizationId) -> LogArchive | None:
    """Read the last archive; None: the whole trail is in the database."""
    found = archives(conn, organization_id)
    return found[-1] if found else None


def end_of(archive: LogArchive | None) -> Head:
    """Return the last link that is archived, as the one after it was made over."""
    return Head(archive.last, archive.digest) if archive else Head(0, b"")


def last_before(
    conn: Connection[Any], organization_id: OrganizationId, after: int, before: datetime
) -> int:
    """Return the number of the last link in front of one that is not older.

    `after`: links up to there are not looked at.
    """
    values = {"organization_id": organization_id, "after": after, "before": before}
    row = conn.execute(_SQL["first_from"], values).fetchone()
    return row[0] - 1 if row else audit_chain.head(conn, organization_id).number


def now(conn: Connection[Any]) -> datetime:
    """Read the database's clock."""
    (at,) = conn.execute(_SQL["clock"]).fetchall()[0]
    return at


def extent(
    conn: Connection[Any], organization_id: OrganizationId, after: int, last: int
) -> tuple[int, int]:
    """Count links after a number, up to another, and their entries."""
    row = conn.execute(_SQL["extent"], _span(organization_id, after, last)).fetchone()
    return row or (0, 0)


def lines(
    conn: Connection[Any], organization_id: OrganizationId, after: int, last: int
) -> Iterator[bytes]:
    """Yield links and entries as lines of an archive, in blocks of whole lines."""
    for begin in range(after, last, PORTION):
        values = _span(organization_id, begin, min(begin + PORTION, last))
        with conn.cursor() as cursor, cursor.copy(_READ, values) as copy:
            for block in copy:
                yield bytes(block)


def hold(conn: Connection[Any], organization_id: OrganizationId, number: int) -> None:
    """Wait for another archive of the link."""
    conn.execute(_SQL["hold"], {"organization_id": organization_id, "number": number})


def needed(
    conn: Connection[Any], organization_id: OrganizationId, last: int, before: datetime
) -> list[int]:
    """List the numbers of links up to one that something still needs."""
    values = {"organization_id": organization_id, "last": last, "before": before}
    return [row[0] for row in conn.execute(_SQL["needed"], values)]


def remove(
    conn: Connection[Any], organization_id: OrganizationId, last: int, kept: Sequence[int]
) -> Removed:
    """Remove links up to a number with their entries, but for those that are kept."""
    links = entries = 0
    for begin in range(0, last, PORTION):
        end = min(begin + PORTION, last)
        values = _span(organization_id, begin, end)
        values["kept"] = [number for number in kept if begin < number <= end]
        entries += conn.execute(_SQL["remove_entries"], values).rowcount
        links += conn.execute(_SQL["remove_links"], values).rowcount
    return Removed(links, entries)


def kept(
    conn: Connection[Any], organization_id: OrganizationId, after: int, last: int
) -> list[KeptLink]:
    """Check the next links after a number, up to another, in their order."""
    values = {**_span(organization_id, after, last), "limit": _CHECKED}
    with conn.cursor(row_factory=class_row(KeptLink)) as cursor:
        return cursor.execute(_KEPT, values).fetchall()


def all_kept(
    conn: Connection[Any], organization_id: OrganizationId, last: int
) -> Iterator[KeptLink]:
    """Check every link up to a number that is in the database."""
    after = 0
    while links := kept(conn, organization_id, after, last):
        yield from links
        after = links[-1].number


def is_kept_whole(
    conn: Connection[Any], organization_id: OrganizationId, archive: LogArchive
) -> bool:
    """Return whether the links that the last archive left are as it left them."""
    same = True

    def looked_at() -> Iterator[KeptLink]:
        nonlocal same
        for link in all_kept(conn, organization_id, archive.last):
            same = same and link.same_content
            yield link

    found = digest_of(looked_at())
    return same and found == (archive.kept, archive.kept_digest)


def digest_of(links: Iterator[KeptLink]) -> tuple[int, str]:
    """Count kept links, and digest number, facts and digest of each."""
    whole, number = sha256(), 0
    for link in links:
        whole.update(link.number.to_bytes(8, "big") + link.facts + link.digest)
        number += 1
    return number, whole.hexdigest()


def _span(organization_id: OrganizationId, after: int, last: int) -> dict[str, Any]:
    return {"organization_id": organization_id, "after": after, "last": last}
