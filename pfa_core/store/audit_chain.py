"""The audit trail's chain of links.

It has one link per organization and transaction, appended when the transaction ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from weakref import WeakKeyDictionary

from psycopg import Connection
from psycopg.rows import args_row, class_row

from pfa_core import sql
from pfa_core.errors import Internal
from pfa_core.model.ids import OrganizationId
from pfa_core.store import rls
from pfa_core.store.errors import archived

_SQL = sql.statements("audit_chain")
_PARTS: dict[str, LiteralString] = {"digest": _SQL["entry_digest"], "facts": _SQL["link_facts"]}
# By whether there is one entry, and whether the organization has to be open.
_CONTENT: dict[tuple[bool, bool], LiteralString] = {
    (one, guarded): _SQL["content"].format(
        **_PARTS,
        entries=_SQL["first"] if one else "",
        archived=_SQL["archived"] if guarded else "false",
    )
    for one in (False, True)
    for guarded in (False, True)
}
_CHECKED = _SQL["checked"].format(**_PARTS)

# Per connection within `linked`: by organization, the link that its entries will make, and their number.
_open: WeakKeyDictionary[Connection[Any], dict[OrganizationId, Open]] = WeakKeyDictionary()
# Per connection within `linked`: organizations whose link is refused where they are archived.
_guarded: WeakKeyDictionary[Connection[Any], set[OrganizationId]] = WeakKeyDictionary()


class Head(NamedTuple):
    """The end of a chain; number 0 and no digest before its first link."""

    number: int
    digest: bytes


class Open(NamedTuple):
    """The entries of an organization that wait for their link."""

    link_id: str
    entries: int


class _Link(NamedTuple):
    entry_count: int
    at: datetime
    content: bytes
    facts: bytes
    archived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLink:
    """A link with the result of its check.

    The result is whether its entries and the link stored before it give the same digests.
    """

    number: int
    link_id: str
    entry_count: int
    found: int
    digest: bytes
    same_content: bool
    same_digest: bool


@contextmanager
def linked(conn: Connection[Any]) -> Iterator[Mapping[OrganizationId, Open]]:
    """Allow entries within the block, and append a link of them at its end.

    The links are the last statements before a commit: from the second of them on the organization's other
    writers wait. Organizations come in the order of their codes, so that transactions cannot deadlock.

    Yields:
        By organization what was written so far.
    """
    links: dict[OrganizationId, Open] = {}
    _open[conn], _guarded[conn] = links, set()
    try:
        yield links
        if links and rls.applies(conn):
            for code in sorted(links):
                conn.execute(_SQL["append_under_rls"], {"organization_id": code})
            return
        found = {code: _content(conn, code, link) for code, link in links.items()}
        for code in sorted(found):
            link = found[code]
            if link:
                _append(conn, code, links[code].link_id, link)
    finally:
        del _open[conn], _guarded[conn]


def require_open(conn: Connection[Any], organization_id: OrganizationId) -> None:
    """Let the transaction's link be refused where the organization is archived."""
    _guarded[conn].add(organization_id)


def first_entry(links: Mapping[OrganizationId, Open]) -> str:
    """Return the id of the first entry of `linked`, which names its link; '' for none."""
    return next((link.link_id for link in links.values()), "")


def first_organization(links: Mapping[OrganizationId, Open]) -> str:
    """Return the organization of that entry; '' for none."""
    return next(iter(links), "")


def entries(links: Mapping[OrganizationId, Open]) -> int:
    """Return the number of entries of `linked`."""
    return sum(link.entries for link in links.values())


def entries_so_far(conn: Connection[Any]) -> int:
    """Return the number of entries that the transaction has written."""
    return entries(_open.get(conn, {}))


def link_of(
    conn: Connection[Any], organization_id: OrganizationId, entry_id: str, entries: int
) -> str:
    """Return the id of the link that entries will belong to.

    It is the transaction's first entry id.

    Raises:
        Internal: Outside of `linked`, where no link would be appended.
    """
    links = _open.get(conn)
    if links is None:
        raise Internal("the trail is written by transactions of Database.transact only")
    link_id, before = links.get(organization_id, Open(entry_id, 0))
    links[organization_id] = Open(link_id, before + entries)
    return link_id


def head(conn: Connection[Any], organization_id: OrganizationId) -> Head:
    """Read the end of the organization's chain."""
    row = conn.execute(_SQL["head"], {"organization_id": organization_id}).fetchone()
    return Head(*row) if row else Head(0, b"")


def checked(
    conn: Connection[Any], organization_id: OrganizationId, after: Head, limit: int
) -> list[CheckedLink]:
    """Check the next links in their order; `after` is the link before them, as stored."""
    values = {
        "organization_id": organization_id,
        "number": after.number,
        "digest": after.digest,
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(CheckedLink)) as cursor:
        return cursor.execute(_CHECKED, values).fetchall()


def count(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Count the entries of the organization's trail."""
    row = conn.execute(_SQL["count"], {"organization_id": organization_id}).fetchone()
    return row[0] if row else 0


def unlinked(conn: Connection[Any], organization_id: OrganizationId, limit: int) -> list[str]:
    """List entries that belong to no link, by id, at most `limit`."""
    values = {"organization_id": organization_id, "limit": limit}
    return [row[0] for row in conn.execute(_SQL["unlinked"], values)]


def link_digest(
    conn: Connection[Any], organization_id: OrganizationId, number: int
) -> bytes | None:
    """Read the stored digest of a link; None: the chain has no link of that number."""
    values = {"organization_id": organization_id, "number": number}
    row = conn.execute(_SQL["link_digest"], values).fetchone()
    return row[0] if row else None


def _content(conn: Connection[Any], organization_id: OrganizationId, link: Open) -> _Link | None:
    values = {"organization_id": organization_id, "link_id": link.link_id}
    statement = _CONTENT[link.entries == 1, organization_id in _guarded[conn]]
    with conn.cursor(row_factory=args_row(_Link)) as cursor:
        found = cursor.execute(statement, values).fetchone()
    if found and found.archived:
        raise archived(organization_id)
    return found


def _append(
    conn: Connection[Any], organization_id: OrganizationId, link_id: str, link: _Link
) -> None:
    values = {"organization_id": organization_id, "link_id": link_id, **link._asdict()}
    row = conn.execute(_SQL["advance"], values).fetchone()
    if row is None:
        raise Internal("the trail's end did not advance")
    conn.execute(_SQL["append"], {**values, "number": row[0], "digest": row[1]})
