"""The audit trail as read back and followed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from typing import Any
from uuid import UUID

from psycopg import Connection

from pfa_core.authorization import authorize, holds, require
from pfa_core.errors import InvalidRequest, NotFound
from pfa_core.masking import Mask, mask_for
from pfa_core.model.audit import ACTIONS, LogEntry, LogFilter
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, require_limit
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.store import audit, audit_chain, mirror
from pfa_core.store.audit import LAST_ID, Place
from pfa_core.store.database import Database

STRETCH = 1_000  # entries that are followed at once


def list_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    pfa_id: str | None = None,
    session_id: str | None = None,
    limit: int = 100,
) -> list[LogEntry]:
    """The audit trail, the newest entry first.

    Members see what concerns them: their own entries, and everybody's when they manage users.

    Args:
        pfa_id, session_id: In place of those of the filters.

    Raises:
        NotFound: There is no such record, nor any entry of it.
        PermissionDenied: The entries of somebody else were asked for, and the principal manages no users.
    """
    require_limit(limit)
    filters = filters or LogFilter()
    wanted = _checked(
        replace(
            filters,
            pfa_id=pfa_id or filters.pfa_id,
            session_id=session_id or filters.session_id,
        )
    )

    def work(conn: Connection[Any]) -> list[LogEntry]:
        visible, mask = _visible(conn, principal, wanted, Operation.LIST_LOG)
        found = audit.entries(conn, principal.organization_id, visible, limit=limit)
        if not found and wanted.pfa_id:
            _require_record(conn, principal.organization_id, wanted.pfa_id)
        return [mask.log_entry(item) for item in found]

    return db.read(work)


def follow_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    history: int = 10,
    wait: Callable[[], bool],
) -> Iterator[LogEntry]:
    """The audit trail as it grows: the last entries there are, then each new one, none twice, none lost.

    New entries come in the order in which their transactions ended, whatever their ids and times say.

    Args:
        history: How many entries that are there already come first, the oldest of them first.
        wait: Called whenever all is told; False ends it. No transaction is open meanwhile.

    Raises:
        PermissionDenied: As `list_log`.
    """
    wanted = _checked(filters or LogFilter())
    code = principal.organization_id

    def begin(conn: Connection[Any]) -> tuple[list[LogEntry], Place]:
        visible, mask = _visible(conn, principal, wanted, Operation.FOLLOW_LOG)
        place = Place(audit_chain.head(conn, code).number, LAST_ID)
        found = audit.entries(conn, code, visible, limit=history) if history else []
        return [mask.log_entry(item) for item in found], place

    def go_on(conn: Connection[Any]) -> tuple[list[LogEntry], Place, bool]:
        visible, mask = _visible(conn, principal, wanted, Operation.FOLLOW_LOG)
        found = audit.following(conn, code, visible, after=place, limit=STRETCH)
        new = [mask.log_entry(entry) for _, entry in found]
        if len(found) == STRETCH:
            return new, found[-1][0], True
        return new, Place(audit_chain.head(conn, code).number, LAST_ID), False

    entries, place = db.read(begin)
    yield from reversed(entries)
    more = False
    while more or wait():
        entries, place, more = db.read(go_on)
        yield from entries


def _checked(filters: LogFilter) -> LogFilter:
    """The filters, refused where they cannot be, times in UTC where they have no zone."""
    for action in set(filters.actions) - set(ACTIONS):
        near = difflib.get_close_matches(action, ACTIONS, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InvalidRequest(
            f"the trail knows no action {action[:40]!r}{meant}",
            hint=f"actions: {', '.join(ACTIONS)}",
        )
    texts = (filters.pfa_id, filters.user_id)
    session = (filters.session_id,) if filters.session_id else ()
    Filters(id=tuple(text for text in texts if text), session=session)
    since, until = (
        at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
        for at in (filters.since, filters.until)
    )
    run_id = filters.run_id
    if run_id is not None:
        try:
            run_id = str(UUID(run_id.strip()))
        except ValueError:
            raise NotFound(f"there is no run {run_id!r}", hint="type: pfa sync runs") from None
    return replace(filters, since=since, until=until, run_id=run_id)


def _require_record(conn: Connection[Any], code: str, pfa_id: str) -> None:
    """A record that there is not must not pass for one to which nothing happened."""
    if not mirror.rows(conn, code, [pfa_id]):
        raise NotFound(
            f"{pfa_id[:80]!r} is no record of {code}",
            hint="type: pfa list --search TEXT; pfa log --help",
        )


def _visible(
    conn: Connection[Any], principal: Principal, filters: LogFilter, operation: Operation
) -> tuple[LogFilter, Mask]:
    """The filters as far as the principal may look, and what hides money from them."""
    member = authorize(conn, principal, operation)
    mask = mask_for(principal, member)
    if holds(principal, member, OTHERS):
        return filters, mask
    if filters.user_id not in (None, principal.user_id):
        require(principal, member, OTHERS, operation)
    return replace(filters, user_id=principal.user_id), mask
