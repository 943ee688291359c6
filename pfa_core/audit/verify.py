"""Verification of the audit trail's chain."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from pfa_core.errors import InvalidRequest
from pfa_core.model import shell
from pfa_core.model.archives import LogArchive
from pfa_core.model.ids import OrganizationId
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import archives, audit_chain
from pfa_core.store.archives import KeptLink
from pfa_core.store.audit_chain import CheckedLink, Head
from pfa_core.store.database import Database

if TYPE_CHECKING:
    from pfa_core.audit.archive_files import ExaminedFile

BATCH = 200
MAX_FLAWS = 1_000
_MOST_FILES = 10  # that a hint names
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
    ARCHIVE = "archive"


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

    How many links and entries are in the database, the chain's end as `anchor` for a later check, and the flaws,
    the first thousand of `flaw_count`. `archived_links` and `archived_entries` are in files in place of it; `files`
    are the names of those, and `verified_files` how many of them were read and found whole.
    """

    links: int
    entries: int
    archived_links: int
    archived_entries: int
    files: list[str]
    verified_files: int
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


def verify_log(
    db: Database,
    principal: Principal,
    *,
    anchor: str | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
) -> LogReport:
    """Verify every link of the organization's audit trail.

    Each link is recomputed from its entries and compared with the stored one. It finds what was
    removed, altered, added or moved without recomputing all later links. A rewrite of all of them, or a
    cut at the chain's end together with its record, is found by an anchor that was kept elsewhere.
    Where links are archived, the chain begins behind them, at the digest that a later entry has of the last one;
    with the files it begins at its first link. Reads one snapshot, in memory that does not grow with the trail.

    Args:
        anchor: `NUMBER:DIGEST`, the `anchor` of an earlier report.
        files: All files of archived links, in any order: each is read whole, and has to join the next one and the
            database's links.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings` or `manage_users`.
        InvalidRequest: An invalid anchor, or one of an archived link whose file is not given.
        NotFound, InvalidData, IoFailure: A file is missing, another one, or cannot be read.
    """
    wanted = _parse(anchor)
    examined: list[ExaminedFile] = []
    if files:
        from pfa_core.audit.archive_files import examine

        watched = wanted.number if wanted else 0
        examined = [examine(path, watched=watched) for path in files]
    return _verify_log(db, principal, anchor=anchor, files=examined)


@reads(Operation.VERIFY_LOG)
def _verify_log(tx: Tx, *, anchor: str | None, files: Sequence[ExaminedFile]) -> LogReport:
    return verified(tx.conn, tx.organization_id, anchor=anchor, files=files)


def verified(
    conn: Connection[Any],
    organization_id: OrganizationId,
    *,
    anchor: str | None = None,
    files: Sequence[ExaminedFile] = (),
) -> LogReport:
    """Verify the organization's audit trail within an authorized transaction.

    Raises:
        InvalidRequest: An invalid anchor, or one of an archived link whose file is not given.
    """
    found = _Found()
    past = archives.archives(conn, organization_id)
    begin = archives.end_of(past[-1] if past else None)
    _check_archives(found, past)
    if past:
        _check_kept(conn, organization_id, found, past[-1])
    agreeing = _check_files(found, organization_id, past, files) if files else 0
    last = _walk(conn, organization_id, found, begin)
    end = audit_chain.head(conn, organization_id)
    _compare_end(found, last, end)
    _find_unlinked(conn, organization_id, found)
    kept = _parse(anchor)
    if kept:
        _compare_anchor(found, kept, _digest_of(conn, organization_id, kept, past, files))
    return LogReport(
        links=found.links,
        entries=found.entries,
        archived_links=begin.number,
        archived_entries=sum(one.entries for one in past),
        files=[one.file for one in past],
        verified_files=agreeing,
        anchor=f"{end.number}:{end.digest.hex()}",
        flaw_count=found.flaw_count,
        flaws=found.flaws,
    )


def _check_archives(report: _Found, past: Sequence[LogArchive]) -> None:
    """Check that each archive begins behind the one before."""
    last = 0
    for one in past:
        if one.first != last + 1:
            message = (
                f"{one.file} begins with link {one.first}, the archive before ends with {last}"
            )
            report.add(FlawKind.ARCHIVE, one.first, None, message)
        last = one.last


def _check_kept(
    conn: Connection[Any], code: OrganizationId, report: _Found, archive: LogArchive
) -> None:
    """Check the archived links that are in the database too."""

    def checked() -> Iterator[KeptLink]:
        for link in archives.all_kept(conn, code, archive.last):
            report.links += 1
            report.entries += link.found
            if not link.same_content:
                message = f"entries of link {link.number} were altered"
                report.add(FlawKind.ENTRIES_ALTERED, link.number, link.link_id, message)
            yield link

    if archives.digest_of(checked()) != (archive.kept, archive.kept_digest):
        message = (
            f"of the links up to {archive.last} others are in the database than {archive.file} left there,"
            " or one was altered"
        )
        report.add(FlawKind.LINK_ALTERED, archive.last, None, message)


def _check_files(
    report: _Found,
    code: OrganizationId,
    past: Sequence[LogArchive],
    files: Sequence[ExaminedFile],
) -> int:
    """Compare files with the archives that the trail says; count those that agree.

    Each is there, whole, and joins the one before.
    """
    by_place: dict[tuple[int, int], list[ExaminedFile]] = {}
    for one in files:
        by_place.setdefault((one.head.first, one.head.last), []).append(one)
    before, good = b"", 0
    for archive in past:
        given = by_place.pop((archive.first, archive.last), [])
        faults = [file.fault or _difference(code, archive, file, before) for file in given]
        good += "" in faults
        if not given:
            message = f"{_links(archive.first, archive.last)} archived in {archive.file}, which was not given"
            report.add(FlawKind.LINKS_MISSING, archive.first, None, message)
        for fault in filter(None, faults):
            report.add(FlawKind.ARCHIVE, archive.first, None, fault)
        before = archive.digest
    for file in (one for some in by_place.values() for one in some):
        message = f"{file.path} is not an archive of this trail"
        report.add(FlawKind.ARCHIVE, file.head.first, None, message)
    return good


def _difference(
    code: OrganizationId, archive: LogArchive, file: ExaminedFile, before: bytes
) -> str:
    """Return how a file differs from what the trail says of it; '' where it does not."""
    if file.head.organization != code:
        return f"{file.path} is of the organization {file.head.organization}"
    if file.head.previous != before.hex():
        return f"{file.path} does not join the link before it"
    if file.digest != archive.digest or file.entries != archive.entries:
        return f"{file.path} has other entries than were archived"
    if file.sha256 != archive.sha256:
        return f"{file.path} has another checksum than the trail says"
    return ""


def _walk(conn: Connection[Any], code: OrganizationId, report: _Found, before: Head) -> Head:
    """Check every link after one; return the last one."""
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


def _digest_of(
    conn: Connection[Any],
    code: OrganizationId,
    wanted: Head,
    past: Sequence[LogArchive],
    files: Sequence[ExaminedFile],
) -> bytes | None:
    """Find the digest of the anchor's link; None: the chain has no such link.

    Raises:
        InvalidRequest: It is in a file that was not given.
    """
    found = audit_chain.link_digest(conn, code, wanted.number)
    if found is not None:
        return found
    for archive in past:
        if archive.last == wanted.number:
            return archive.digest
        if archive.first <= wanted.number < archive.last:
            for file in files:
                if file.at_number is not None and file.digest == archive.digest:
                    return file.at_number
            raise InvalidRequest(
                f"link {wanted.number} of the anchor is archived in {archive.file}",
                hint=f"add all files of archived links: --archive {_files_of(past)}",
            )
    return None


def _files_of(past: Sequence[LogArchive]) -> str:
    """Write the names of archives as they are typed, the newest of many."""
    names = " ".join(shell.file(one.file) for one in past[-_MOST_FILES:])
    return f"{names}, and those of before" if len(past) > _MOST_FILES else names


def _compare_anchor(report: _Found, kept: Head, found: bytes | None) -> None:
    if kept.number == 0:
        return
    if found is None:
        message = (
            f"link {kept.number} of the anchor is missing: the chain was cut off or begun again"
        )
        report.add(FlawKind.ANCHOR, kept.number, None, message)
    elif found != kept.digest:
        message = f"link {kept.number} is not that of the anchor: the chain was rewritten"
        report.add(FlawKind.ANCHOR, kept.number, None, message)


def _links(first: int, last: int) -> str:
    return f"link {first} is" if first == last else f"links {first} to {last} are"


def _missing(first: int, last: int) -> str:
    return f"{_links(first, last)} missing"


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
