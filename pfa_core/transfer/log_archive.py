"""The archive of the oldest entries of the audit trail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection

from pfa_core.audit.archive_files import checksum, opened
from pfa_core.authorization import authorize, require
from pfa_core.errors import IllegalTransition, Internal, InvalidData, InvalidRequest
from pfa_core.files.beside import remove_left
from pfa_core.files.reading import open_file
from pfa_core.files.replacing import creating
from pfa_core.files.trail import TrailHead, TrailReader, TrailWriter
from pfa_core.model.archives import LogArchive
from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId
from pfa_core.model.member import Member
from pfa_core.model.principal import Principal, Right
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import archives, audit, audit_chain
from pfa_core.store.database import Database
from pfa_core.transfer.closing import require_unbound, shown_name

# What an unanswered commit is looked up by stays: an entry that is younger.
YOUNGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArchiveResult:
    """What was archived.

    `links` and `entries` are in the file, `removed` of these and earlier entries are not in the database any more;
    `kept` links are there too, since something needs them. `anchor` is the end of the chain in the file, '' where
    nothing is older. `already`: an earlier call did it.
    """

    path: str
    before: datetime
    first: int
    last: int
    links: int
    entries: int
    kept: int
    removed: int
    size_bytes: int
    sha256: str
    anchor: str
    already: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Links that are to be archived, and what is archived already."""

    past: list[LogArchive]
    first: int
    last: int
    links: int
    entries: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A file of archived links that was read whole."""

    path: str
    head: TrailHead
    entries: int
    digest: bytes
    size: int
    sha256: str


def archive_log(
    db: Database,
    principal: Principal,
    path: str | os.PathLike[str],
    *,
    before: datetime,
    dry_run: bool = False,
) -> LogArchiveResult:
    """Move the entries of the audit trail that are older than a time into a file.

    Whole links of the chain are moved, those in front of the first one that is not older. The file is written,
    brought to the disk, read back and verified before anything is removed; then the links leave the database in one
    transaction, whose own entry says which, in which file, with its checksum and the digest at which the chain
    goes on. Called again after it was interrupted, with the same file, it goes on where it was, and changes nothing
    where it was done. A file that is there is never overwritten.

    Links that something needs stay in the database beside the file: of changes that are not settled, or were since
    that time; of what later entries take back; of ended memberships and of settings.

    Args:
        before: At least a day ago.
        dry_run: Count; write and remove nothing.

    Raises:
        PermissionDenied: The caller lacks the right `manage_settings`, `manage_users` or `view_financials`.
        InvalidRequest: The time is less than a day ago.
        IllegalTransition: There is another file of that name, or another call archived the same links meanwhile.
        InvalidData: The trail is not whole, or the file of an interrupted call is not.
        IoFailure: The file cannot be written.
        ConfigInvalid: The address is not that of the tables' owner.
    """
    before = before if before.tzinfo else before.replace(tzinfo=UTC)
    _require_old(before, db.clock())
    name = os.fspath(path)
    if name in ("", "-"):
        raise InvalidRequest(
            f"not a file name: {name!r}", hint="the entries leave the database for it"
        )
    with db.administration() as owner:
        span = owner.read(lambda conn: _span(conn, principal, before), latest=True)
        done = _done(span, name)
        if done and not span.links:
            return done
        if not span.links and not os.path.lexists(name):
            return _result(_nothing(name, before, span), kept=span.kept, removed=0)
        if os.path.lexists(name):
            if not dry_run:  # one that was killed as it named the file left its other name
                remove_left(Path(os.path.realpath(name)))
            checked = _left(name, principal.organization_id, span, before)
        elif dry_run:
            return replace(
                _result(_nothing(name, before, span), kept=span.kept, removed=0),
                last=span.last,
                links=span.links,
                entries=span.entries,
            )
        else:
            checked = _written(owner, principal, name, span, before)
        if dry_run:
            return _result(checked, kept=span.kept, removed=0)
        with _explained(name):
            return _remove(owner, principal, checked=checked)


def _span(conn: Connection[Any], principal: Principal, before: datetime) -> _Span:
    """Find the links that are older, and what is archived already."""
    _require(conn, principal, authorize(conn, principal, Operation.ARCHIVE_LOG))
    # The links' times are the database's.
    _require_old(before, archives.now(conn))
    code = principal.organization_id
    past = list(archives.archives(conn, code))
    if past and not archives.is_kept_whole(conn, code, past[-1]):
        raise _not_whole(code)
    begin = archives.end_of(past[-1] if past else None)
    last = archives.last_before(conn, code, begin.number, before)
    links, entries = archives.extent(conn, code, begin.number, last)
    if links != last - begin.number:
        raise _not_whole(code)
    kept = len(archives.needed(conn, code, last, before)) if links else 0
    return _Span(
        past=past, first=begin.number + 1, last=last, links=links, entries=entries, kept=kept
    )


def _done(span: _Span, name: str) -> LogArchiveResult | None:
    """Return what an earlier call archived into the file."""
    if not os.path.isfile(name):
        return None
    shown = shown_name(name)
    if not any(one.file == shown for one in span.past):
        return None
    with open_file(name) as file:
        digest, size = checksum(file), os.fstat(file.fileno()).st_size
    found = next((one for one in span.past if one.sha256 == digest), None)
    return found and LogArchiveResult(
        path=name,
        before=found.before,
        first=found.first,
        last=found.last,
        links=found.links,
        entries=found.entries,
        kept=found.kept,
        removed=0,
        size_bytes=size,
        sha256=digest,
        anchor=found.anchor,
        already=True,
    )


def _left(name: str, code: OrganizationId, span: _Span, before: datetime) -> _Checked:
    """Read the file of a call that was interrupted before it removed anything.

    Raises:
        IllegalTransition: It is another file.
    """
    other = IllegalTransition(
        f"{name} is there, and is not overwritten", hint="name a file that is not there yet"
    )
    if not os.path.isfile(name):
        raise other
    try:
        with opened(name) as reader:
            head = reader.head
            if head.organization != code or head.first != span.first or head.before > before:
                raise other
            return _read_back(reader)
    except InvalidData as error:
        raise other from error


def _written(
    owner: Database, principal: Principal, name: str, span: _Span, before: datetime
) -> _Checked:
    """Write the file, and read it back before it gets its name."""
    with creating(name) as file:

        def work(conn: Connection[Any]) -> None:
            _require(conn, principal, authorize(conn, principal, Operation.ARCHIVE_LOG))
            last = archives.last(conn, principal.organization_id)
            if last != (span.past[-1] if span.past else None):
                raise _overtaken(last, "nothing was written or removed")
            # A transaction that is done again writes it again.
            file.seek(0)
            file.truncate()
            _write(conn, principal.organization_id, file, span, before)

        owner.read(work, latest=True)
        file.flush()
        os.fsync(file.fileno())
        try:
            return _read_back(TrailReader(file, name))
        except InvalidData as error:
            raise _not_whole(principal.organization_id) from error


def _write(
    conn: Connection[Any], code: OrganizationId, file: BinaryIO, span: _Span, before: datetime
) -> None:
    begin = archives.end_of(span.past[-1] if span.past else None)
    digest = audit_chain.link_digest(conn, code, span.last)
    if digest is None:
        raise _not_whole(code)
    head = TrailHead(code, span.first, span.last, begin.digest.hex(), before)
    writer = TrailWriter(file, head)
    for block in archives.lines(conn, code, begin.number, span.last):
        writer.add(block)
    writer.finish(span.entries, digest)


def _read_back(reader: TrailReader) -> _Checked:
    reader.verify()
    digest = checksum(reader.file)
    return _Checked(
        path=reader.name,
        head=reader.head,
        entries=reader.read,
        digest=reader.digest,
        size=os.fstat(reader.file.fileno()).st_size,
        sha256=digest,
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say of an interrupt that the file is there, and nothing is removed."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"interrupted, {name} is written; where its entries are still in the database, the same command removes"
            " them"
        )
        raise


@writes(Operation.ARCHIVE_LOG, as_owner=True)
def _remove(tx: Tx, *, checked: _Checked) -> LogArchiveResult:
    """Remove the links of a file from the database, and say so in the trail."""
    conn, code, head = tx.conn, tx.organization_id, checked.head
    _require(conn, tx.principal, tx.member)
    archives.hold(conn, code, head.first)
    last = archives.last(conn, code)
    begin = archives.end_of(last)
    if last and last.sha256 == checked.sha256:  # by a call whose commit was not answered
        return replace(_result(checked, kept=last.kept, removed=0), already=True)
    if begin.number != head.first - 1 or begin.digest.hex() != head.previous:
        raise _overtaken(last, f"nothing was removed, {checked.path} may be deleted")
    if audit_chain.link_digest(conn, code, head.last) != checked.digest:
        raise InvalidData(
            f"{checked.path} is of another trail than the database has; nothing was removed",
            hint=f"type: pfa log verify --org {code}",
        )
    if last and not archives.is_kept_whole(conn, code, last):
        raise InvalidData(
            f"the audit trail of {code} is not whole; nothing was removed, {checked.path} may be deleted",
            hint=f"type: pfa log verify --org {code}",
        )
    kept = archives.needed(conn, code, head.last, head.before)
    removed = archives.remove(conn, code, head.last, kept)
    number, digest = archives.digest_of(archives.all_kept(conn, code, head.last))
    if number != len(kept):
        raise Internal("other links were kept than were asked for")
    result = _result(checked, kept=number, removed=removed.entries)
    archive = LogArchive(
        first=head.first,
        last=head.last,
        entries=checked.entries,
        anchor=result.anchor,
        before=head.before,
        file=shown_name(checked.path),
        sha256=checked.sha256,
        kept=number,
        kept_digest=digest,
    )
    reason = f"{checked.entries} entries older than {archive.day} are in {archive.file}"
    tx.audit(Action.ARCHIVE, [audit.Entry(tx.new_id(), after=archive.content(), reason=reason)])
    return result


def _require(conn: Connection[Any], principal: Principal, member: Member) -> None:
    """Refuse a caller who may not see all that the file holds."""
    require_unbound(conn)
    why = "the file holds prices"
    require(principal, member, Right.VIEW_FINANCIALS, Operation.ARCHIVE_LOG, why=why)


def _nothing(name: str, before: datetime, span: _Span) -> _Checked:
    head = TrailHead("", span.first, span.first - 1, "", before)
    return _Checked(path=name, head=head, entries=0, digest=b"", size=0, sha256="")


def _result(checked: _Checked, *, kept: int, removed: int) -> LogArchiveResult:
    head = checked.head
    return LogArchiveResult(
        path=checked.path,
        before=head.before,
        first=head.first,
        last=head.last,
        links=head.last - head.first + 1,
        entries=checked.entries,
        kept=kept,
        removed=removed,
        size_bytes=checked.size,
        sha256=checked.sha256,
        anchor=f"{head.last}:{checked.digest.hex()}" if checked.digest else "",
        already=False,
    )


def _overtaken(last: LogArchive | None, kept: str) -> IllegalTransition:
    return IllegalTransition(
        f"other links were archived meanwhile: {last.file if last else 'none'}; {kept}",
        hint="type: pfa log --action archive",
    )


def _require_old(before: datetime, now: datetime) -> None:
    """Refuse a time less than a day ago."""
    if before > now - YOUNGEST:
        raise InvalidRequest(
            "entries of the last day are not archived",
            hint="name an earlier day, as in: --before 2024-01-01",
        )


def _not_whole(code: OrganizationId) -> InvalidData:
    return InvalidData(
        f"the audit trail of {code} is not whole; nothing was written or removed",
        hint=f"type: pfa log verify --org {code}",
    )
