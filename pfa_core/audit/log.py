"""The audit trail as read back and followed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, islice
from uuid import UUID

from pfa_core.authorization import require
from pfa_core.errors import InvalidData, InvalidRequest, NotFound
from pfa_core.model import shell
from pfa_core.model.audit import ACTIONS, LogEntry, LogFilter
from pfa_core.model.ids import PfaId
from pfa_core.model.ordering import LOG, SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import given_key, require_limit, require_text
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.model.suggest import not_one_of
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import audit, audit_chain
from pfa_core.store.audit import LAST_ID, Place
from pfa_core.store.database import Database

FOLLOWED_AT_ONCE = 1_000  # entries that one transaction reads


def list_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    pfa_id: str | None = None,
    session_id: str | None = None,
    limit: int = 100,
    sort: str | None = None,
) -> list[LogEntry]:
    """List the audit trail, the newest entry first.

    Members see their own entries, and those of all users when they manage users.

    Args:
        pfa_id, session_id: In place of those of the filters.
        sort: Other keys than `-at`, see `model.ordering.LOG`.

    Raises:
        NotFound: There is no such record, nor any entry of it.
        PermissionDenied: Another user's entries, and the caller does not manage users.
    """
    require_limit(limit)
    filters = filters or LogFilter()
    pfa_id, session_id = pfa_id or filters.pfa_id, session_id or filters.session_id
    wanted = _checked(replace(filters, pfa_id=pfa_id, session_id=session_id))
    return _list(db, principal, wanted, limit, LOG.parse(sort))


def stream_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    limit: int = 100,
    sort: str | None = None,
    archive: str | os.PathLike[str] | None = None,
) -> Iterator[LogEntry]:
    """Yield what `list_log` returns, in constant memory and from one snapshot.

    Args:
        archive: A file of archived entries, in place of those in the database; the order is the usual one. It is
            read and verified whole, and of `limit` entries in memory.

    Raises:
        NotFound, PermissionDenied: As `list_log`.
        InvalidData: The file is another one, was altered, or is of another organization.
    """
    require_limit(limit)
    if archive is not None and sort not in (None, LOG.default):
        raise InvalidRequest("`archive` cannot be combined with `sort`")
    wanted = _checked(filters or LogFilter())
    if archive is not None:
        found = _stream_archive(db, principal, wanted, limit, archive)
    else:
        found = _stream(db, principal, wanted, limit, LOG.parse(sort))
    first = list(islice(found, 1))  # read at once: a refusal precedes any output
    return chain(first, found)


def _stream(
    db: Database, principal: Principal, wanted: LogFilter, limit: int, keys: Sequence[SortKey]
) -> Iterator[LogEntry]:
    with snapshot(db, principal, Operation.STREAM_LOG) as tx:
        visible, number = _visible(tx, wanted), 0
        found = audit.stream_entries(tx.conn, tx.organization_id, visible, limit=limit, keys=keys)
        for entry in found:
            number += 1
            yield tx.mask.log_entry(entry)
        if not number and wanted.pfa_id:
            _require_record(tx, PfaId(wanted.pfa_id))


def _stream_archive(
    db: Database,
    principal: Principal,
    wanted: LogFilter,
    limit: int,
    path: str | os.PathLike[str],
) -> Iterator[LogEntry]:
    from pfa_core.audit.archive_files import newest, opened

    with opened(path) as reader:
        with snapshot(db, principal, Operation.STREAM_LOG) as tx:
            visible, mask = _visible(tx, wanted), tx.mask
        if reader.head.organization != principal.organization_id:
            code = reader.head.organization
            raise InvalidData(
                f"{reader.name} is of the organization {code}",
                hint=f"type: pfa log --from {shell.file(reader.name)} --org {shell.word(code)}",
            )
        for entry in newest(reader, visible, limit):
            yield mask.log_entry(entry)


@reads(Operation.LIST_LOG)
def _list(tx: Tx, wanted: LogFilter, limit: int, keys: Sequence[SortKey]) -> list[LogEntry]:
    found = audit.entries(tx.conn, tx.organization_id, _visible(tx, wanted), limit=limit, keys=keys)
    if not found and wanted.pfa_id:
        _require_record(tx, PfaId(wanted.pfa_id))
    return [tx.mask.log_entry(item) for item in found]


def follow_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    history: int = 10,
    wait: Callable[[], bool],
) -> Iterator[LogEntry]:
    """Yield the last entries of the audit trail, then each new one.

    No entry comes twice, none is lost. New entries come in the order in which their transactions ended,
    whatever their ids and times.

    Args:
        history: How many present entries come first, the oldest of them first.
        wait: Called whenever no entry is left; False ends it. No transaction is open meanwhile.

    Raises:
        PermissionDenied: As `list_log`.
    """
    wanted = _checked(filters or LogFilter())
    entries, place = _begin(db, principal, wanted, history)
    yield from reversed(entries)
    more = False
    while more or wait():
        entries, place, more = _continue(db, principal, wanted, place)
        yield from entries


@reads(Operation.FOLLOW_LOG)
def _begin(tx: Tx, wanted: LogFilter, history: int) -> tuple[list[LogEntry], Place]:
    """Read the newest entries and the end of the trail."""
    visible = _visible(tx, wanted)
    end = Place(audit_chain.head(tx.conn, tx.organization_id).number, LAST_ID)
    found = audit.entries(tx.conn, tx.organization_id, visible, limit=history) if history else []
    return [tx.mask.log_entry(item) for item in found], end


@reads(Operation.FOLLOW_LOG)
def _continue(tx: Tx, wanted: LogFilter, after: Place) -> tuple[list[LogEntry], Place, bool]:
    """Read the entries after a place.

    Returns the entries, the place of the last one, and whether more may follow.
    """
    code, visible = tx.organization_id, _visible(tx, wanted)
    found = audit.following(tx.conn, code, visible, after=after, limit=FOLLOWED_AT_ONCE)
    new = [tx.mask.log_entry(entry) for _, entry in found]
    if len(found) == FOLLOWED_AT_ONCE:
        return new, found[-1][0], True
    # A replica may have less than the server, which answered before.
    end = Place(audit_chain.head(tx.conn, code).number, LAST_ID)
    return new, max(after, end, key=lambda place: place.number), False


def _checked(filters: LogFilter) -> LogFilter:
    """Refuse invalid filters; return them with times in UTC where they have no zone."""
    for action in set(filters.actions) - set(ACTIONS):
        raise not_one_of(f"unknown action: {action[:40]!r}", action, ACTIONS, listed="actions")
    for text in (filters.user_id, filters.session_id):
        require_text(text or "")
    return replace(
        filters,
        pfa_id=given_key(filters.pfa_id) if filters.pfa_id else filters.pfa_id,
        since=_with_zone(filters.since),
        until=_with_zone(filters.until),
        run_id=_run_id(filters.run_id),
    )


def _with_zone(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at


def _run_id(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise NotFound(f"run not found: {text!r}", hint="type: pfa sync runs") from None


def _require_record(tx: Tx, pfa_id: PfaId) -> None:
    """Refuse an unknown id, which would look like a record that was never changed."""
    # Only a trail without an entry of the record.
    from pfa_core.store import mirror
    from pfa_core.store.suggestions import like_record

    if not mirror.rows(tx.conn, tx.organization_id, [pfa_id]):
        raise NotFound(
            f"record {pfa_id[:80]!r} not found in {tx.organization_id}"
            f"{like_record(tx.conn, tx.principal, pfa_id)}",
            hint="type: pfa list --search TEXT; pfa log --help",
        )


def _visible(tx: Tx, filters: LogFilter) -> LogFilter:
    """Narrow the filters to the entries that the caller may see."""
    if tx.holds(OTHERS):
        return filters
    if filters.user_id not in (None, tx.user_id):
        require(tx.principal, tx.member, OTHERS, tx.operation)
    return replace(filters, user_id=tx.user_id)
