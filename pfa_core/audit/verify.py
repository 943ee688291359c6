"""Verification of the audit trail's chain."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from psycopg import Connection

from pfa_core.errors import InvalidRequest
from pfa_core.model.ids import OrganizationId
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import audit_chain
from pfa_core.store.audit_chain import CheckedLink, Head

BATCH = 200
MAX_FLAWS = 1_000
_ANCHOR = re.compile(r"(\d{1,18}):((?:[0-9a-fA-F]{64})?)")


class FlawKind(StrEnum):
    """How the chain is broken."""

    LINKS_MISSING = "links_missing"
    ENTRIES_MISSING = "entries_missing"
    ENTRIES_ADDED = "entries_added"
    ENTRIES_ALTERED = "entries_altered"
    LINK_ALTERED = "link_altered"
    END_ALTERED = "end_altered"
    ENTRY_UNLINKED = "entry_unlinked"
    ANCHOR = "anchor"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A break of the chain.

    `number` is that of the link, `link_id` its id, where there is one.
    """

    kind: FlawKind
    number: int | None
    link_id: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """What the check found.

    How many links and entries, the chain's end as `anchor` for a later check, and the flaws, the first
    thousand of `flaw_count`.
    """

    links: int
    entries: int
    anchor: str
    flaw_count: int
    flaws: list[Flaw]

    @property
    def whole(self) -> bool:
        """Return whether no flaw was found."""
        return self.flaw_count == 0


@dataclass(slots=True)
class _Found:
    """What a verification has counted and found so far."""

    links: int = 0
    entries: int = 0
    flaw_count: int = 0
    flaws: list[Flaw] = field(default_factory=list)

    def add(self, kind: FlawKind, number: int | None, link_id: str | None, message: str) -> None:
        """Add a flaw; those past the first thousand are counted only."""
        self.flaw_count += 1
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(kind, number, link_id, message))


def _check_anchor(*, anchor: str | None = None) -> None:
    _parse(anchor)


@reads(Operation.VERIFY_LOG, check=_check_anchor)
def verify_log(tx: Tx, *, anchor: str | None = None) -> LogReport:
    """Verify every link of the organization's audit trail.

    Each link is recomputed from its entries and compared with the stored one. It finds what was
    removed, altered, added or moved without recomputing all later links. A rewrite of all of them, or a
    cut at the chain's end together with its record, is found by an anchor that was kept elsewhere.
    Reads one snapshot, in memory that does not grow with the trail.

    Args:
        anchor: `NUMBER:DIGEST`, the `anchor` of an earlier report.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings` or `manage_users`.
        InvalidRequest: An invalid anchor.
    """
    return verified(tx.conn, tx.organization_id, anchor=anchor)


def verified(
    conn: Connection[Any], organization_id: OrganizationId, *, anchor: str | None = None
) -> LogReport:
    """Verify the organization's audit trail within an authorized transaction.

    Raises:
        InvalidRequest: An invalid anchor.
    """
    found = _Found()
    last = _walk(conn, organization_id, found)
    end = audit_chain.head(conn, organization_id)
    _compare_end(found, last, end)
    _find_unlinked(conn, organization_id, found)
    kept = _parse(anchor)
    if kept:
        _compare_anchor(conn, organization_id, found, kept)
    return LogReport(
        links=found.links,
        entries=found.entries,
        anchor=f"{end.number}:{end.digest.hex()}",
        flaw_count=found.flaw_count,
        flaws=found.flaws,
    )


def _walk(conn: Connection[Any], code: OrganizationId, report: _Found) -> Head:
    """Check every link; return the last one."""
    before = Head(0, b"")
    while links := audit_chain.checked(conn, code, before, BATCH):
        for link in links:
            _check_link(report, link, before.number)
            before = Head(link.number, link.digest)
    return before


def _check_link(report: _Found, link: CheckedLink, before: int) -> None:
    report.links += 1
    report.entries += link.found
    number, name = link.number, link.link_id
    follows = number == before + 1
    if not follows:
        report.add(FlawKind.LINKS_MISSING, before + 1, None, _missing(before + 1, number - 1))
    if link.found != link.entry_count:
        kind = FlawKind.ENTRIES_MISSING if link.found < link.entry_count else FlawKind.ENTRIES_ADDED
        message = f"link {number} has {link.found:,} entries, {link.entry_count:,} were written"
        report.add(kind, number, name, message)
    elif not link.same_content:
        report.add(FlawKind.ENTRIES_ALTERED, number, name, f"entries of link {number} were altered")
    if follows and not link.same_digest:
        message = f"link {number}, or the one before it, was altered, replaced or moved"
        report.add(FlawKind.LINK_ALTERED, number, name, message)


def _compare_end(report: _Found, last: Head, end: Head) -> None:
    if end.number > last.number:
        message = _missing(last.number + 1, end.number)
        report.add(FlawKind.LINKS_MISSING, last.number + 1, None, f"{message}, at the end")
    elif end != last:
        report.add(FlawKind.END_ALTERED, last.number, None, "the chain's end is not its last link")


def _find_unlinked(conn: Connection[Any], code: OrganizationId, report: _Found) -> None:
    total = audit_chain.count(conn, code)
    if total == report.entries:
        return
    listed = audit_chain.unlinked(conn, code, MAX_FLAWS)
    for entry_id in listed:
        report.add(FlawKind.ENTRY_UNLINKED, None, None, f"entry {entry_id} belongs to no link")
    report.flaw_count += total - report.entries - len(listed)
    report.entries = total


def _compare_anchor(
    conn: Connection[Any], code: OrganizationId, report: _Found, kept: Head
) -> None:
    if kept.number == 0:
        return
    found = audit_chain.link_digest(conn, code, kept.number)
    if found is None:
        message = (
            f"link {kept.number} of the anchor is missing: the chain was cut off or begun again"
        )
        report.add(FlawKind.ANCHOR, kept.number, None, message)
    elif found != kept.digest:
        message = f"link {kept.number} is not that of the anchor: the chain was rewritten"
        report.add(FlawKind.ANCHOR, kept.number, None, message)


def _missing(first: int, last: int) -> str:
    if first == last:
        return f"link {first} is missing"
    return f"links {first} to {last} are missing"


def _parse(anchor: str | None) -> Head | None:
    if anchor is None:
        return None
    match = _ANCHOR.fullmatch(anchor.strip())
    if not match or (int(match[1]) > 0) != bool(match[2]):
        raise InvalidRequest(
            f"invalid anchor: {anchor[:20]!r}",
            hint="give NUMBER:DIGEST as an earlier pfa log verify printed it",
        )
    return Head(int(match[1]), bytes.fromhex(match[2]))
