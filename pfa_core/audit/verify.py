"""Verify the audit trail: is it what was written, all of it and in its order?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import InvalidRequest
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.store import audit_chain
from pfa_core.store.audit_chain import CheckedLink, Head
from pfa_core.store.database import Database

BATCH = 200
MAX_FLAWS = 1_000
_ANCHOR = re.compile(r"(\d{1,18}):((?:[0-9a-fA-F]{64})?)")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where the chain is broken, and how.

    kind: links_missing, entries_missing, entries_added, entries_altered, link_altered, end_altered,
    entry_unlinked, anchor. `number` is that of the link, `link_id` its name, where there is one.
    """

    kind: str
    number: int | None
    link_id: str | None
    message: str


@dataclass
class LogReport:
    """What the check saw: how many links and entries, the chain's end as `anchor` for a later check,
    and the flaws, the first thousand of `flaw_count`."""

    links: int = 0
    entries: int = 0
    anchor: str = ""
    flaw_count: int = 0
    flaws: list[Flaw] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether no flaw was found."""
        return self.flaw_count == 0

    def add(self, kind: str, number: int | None, link_id: str | None, message: str) -> None:
        """Tell a flaw; those past the first thousand are counted only."""
        self.flaw_count += 1
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(kind, number, link_id, message))


def verify_log(db: Database, principal: Principal, *, anchor: str | None = None) -> LogReport:
    """Make every link of the organization's audit trail anew from its entries, and compare.

    Found is what was removed, altered, added or moved without making all later links anew. Who can do
    that, or cuts off the chain's end together with what tells of it, is found by an anchor that was kept
    elsewhere. Reads one moment of the database, in memory that does not grow with the trail.

    Args:
        anchor: `NUMBER:DIGEST`, the `anchor` of an earlier report.

    Raises:
        PermissionDenied: The principal lacks the right `manage_settings` or `manage_users`.
        InvalidRequest: That is no anchor.
    """
    kept = _parse(anchor) if anchor is not None else None

    def work(conn: Connection[Any]) -> LogReport:
        authorize(conn, principal, Operation.VERIFY_LOG)
        code = principal.organization_id
        report = LogReport()
        last = _walk(conn, code, report)
        end = audit_chain.head(conn, code)
        report.anchor = f"{end.number}:{end.digest.hex()}"
        _compare_end(report, last, end)
        _find_unlinked(conn, code, report)
        if kept:
            _compare_anchor(conn, code, report, kept)
        return report

    return db.read(work)


def _walk(conn: Connection[Any], code: str, report: LogReport) -> Head:
    """Look at every link; the last one."""
    before = Head(0, b"")
    while links := audit_chain.checked(conn, code, before, BATCH):
        for link in links:
            _look(report, link, before.number)
            before = Head(link.number, link.digest)
    return before


def _look(report: LogReport, link: CheckedLink, before: int) -> None:
    report.links += 1
    report.entries += link.found
    number, name = link.number, link.link_id
    follows = number == before + 1
    if not follows:
        report.add("links_missing", before + 1, None, _missing(before + 1, number - 1))
    if link.found != link.entry_count:
        kind = "entries_missing" if link.found < link.entry_count else "entries_added"
        message = f"link {number} has {link.found:,} entries, {link.entry_count:,} were written"
        report.add(kind, number, name, message)
    elif not link.same_content:
        report.add("entries_altered", number, name, f"entries of link {number} were altered")
    if follows and not link.same_digest:
        message = f"link {number}, or the one before it, was altered, replaced or moved"
        report.add("link_altered", number, name, message)


def _compare_end(report: LogReport, last: Head, end: Head) -> None:
    if end.number > last.number:
        message = _missing(last.number + 1, end.number)
        report.add("links_missing", last.number + 1, None, f"{message}, at the end")
    elif end != last:
        report.add("end_altered", last.number, None, "the chain's end is not its last link")


def _find_unlinked(conn: Connection[Any], code: str, report: LogReport) -> None:
    total = audit_chain.count(conn, code)
    if total == report.entries:
        return
    listed = audit_chain.unlinked(conn, code, MAX_FLAWS)
    for entry_id in listed:
        report.add("entry_unlinked", None, None, f"entry {entry_id} belongs to no link")
    report.flaw_count += total - report.entries - len(listed)
    report.entries = total


def _compare_anchor(conn: Connection[Any], code: str, report: LogReport, kept: Head) -> None:
    if kept.number == 0:
        return
    found = audit_chain.link_digest(conn, code, kept.number)
    if found is None:
        message = f"link {kept.number} of the anchor is gone: the chain was cut off, or begun anew"
        report.add("anchor", kept.number, None, message)
    elif found != kept.digest:
        message = f"link {kept.number} is not that of the anchor: the chain was written anew"
        report.add("anchor", kept.number, None, message)


def _missing(first: int, last: int) -> str:
    if first == last:
        return f"link {first} is missing"
    return f"links {first} to {last} are missing"


def _parse(anchor: str) -> Head:
    match = _ANCHOR.fullmatch(anchor.strip())
    if not match or (int(match[1]) > 0) != bool(match[2]):
        raise InvalidRequest(
            f"{anchor[:20]!r} is no anchor",
            hint="give NUMBER:DIGEST as an earlier pfa log verify printed it",
        )
    return Head(int(match[1]), bytes.fromhex(match[2]))
