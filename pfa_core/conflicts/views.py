"""Conflicts with PEMS: which fields both sides changed, and what a person decides about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize, reauthorize, require
from pfa_core.conflicts.selection import matching, one
from pfa_core.errors import InvalidRequest
from pfa_core.masking import Mask, mask_for
from pfa_core.model.delta import FieldConflict, same
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.store import mirror
from pfa_core.store.conflicts import OPEN, RESOLVED, ConflictRow
from pfa_core.store.database import Database
from pfa_core.store.members import Member

ALL = "all"
STATUSES = (OPEN, RESOLVED, ALL)


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A conflict as it was found, and how it ended.

    `fields` hold base, mine and PEMS's value of that moment; `pems_now` PEMS's value of today where
    it is another one, by field, of open conflicts only. `resolution` is mine, pems or merged;
    `settlement` tells of each field which value was taken. Session and reason are None when the
    modification is gone. Where `masked`, money is None.
    """

    conflict_id: str
    pfa_id: str
    fields: tuple[FieldConflict, ...]
    status: str
    modified_by: str
    created_at: datetime
    modification_id: str
    session_id: str | None
    change_reason: str | None
    pems_now: Mapping[str, Any]
    resolution: str | None
    settlement: Mapping[str, Any] | None
    resolved_at: datetime | None
    resolved_by: str | None
    masked: bool = False


def list_conflicts(
    db: Database,
    principal: Principal,
    filters: Filters | None = None,
    *,
    status: str = OPEN,
    user_id: str | None = None,
    limit: int | None = None,
) -> list[ConflictView]:
    """The conflicts of one's own modifications on matching records, the newest first.

    Args:
        filters: On today's merged values; state and session are those of the modification.
        status: unresolved, resolved or all.
        user_id: Another member's instead, which takes the right to manage users.
        limit: At most so many; None for all.

    Raises:
        InvalidRequest: An unknown status, or a limit that is none.
        PermissionDenied: Another member's without the right.
    """
    if status not in STATUSES:
        raise InvalidRequest(f"{status!r} is no status; known are {', '.join(STATUSES)}")
    if limit is not None and limit < 1:
        raise InvalidRequest(f"a limit is 1 or more, not {limit}")

    def work(conn: Connection[Any]) -> list[ConflictView]:
        owner, member = authorize_owner(conn, principal, user_id, Operation.LIST_CONFLICTS)
        found = matching(conn, owner, filters or Filters(), None if status == ALL else status)
        return _views(conn, owner, found[:limit], mask_for(principal, member))

    return db.read(work)


def show_conflict(
    db: Database, principal: Principal, conflict_id: str, *, user_id: str | None = None
) -> ConflictView:
    """One conflict, by its id or by that of a record that has exactly one open.

    Raises:
        NotFound: The principal (or the member named) has none of that id, or several.
        PermissionDenied: Another member's without the right to manage users.
    """
    Filters(id=(conflict_id,))

    def work(conn: Connection[Any]) -> ConflictView:
        owner, member = authorize_owner(conn, principal, user_id, Operation.SHOW_CONFLICT)
        found = [one(conn, owner, conflict_id)]
        return _views(conn, owner, found, mask_for(principal, member))[0]

    return db.read(work)


def authorize_owner(
    conn: Connection[Any], principal: Principal, user_id: str | None, operation: Operation
) -> tuple[Principal, Member]:
    """Whose conflicts they are: the principal's, or another's for those who manage users; and the
    principal's own membership."""
    member = authorize(conn, principal, operation)
    if user_id is None or user_id == principal.user_id:
        return principal, member
    Filters(id=(user_id,))
    require(principal, member, OTHERS, operation)
    reauthorize(conn, principal, operation, scope=OTHERS)
    return replace(principal, user_id=user_id), member


def _views(
    conn: Connection[Any], owner: Principal, rows: Sequence[ConflictRow], mask: Mask
) -> list[ConflictView]:
    ids = [row.pfa_id for row in rows if row.status == OPEN]
    today = {key: row.data for key, row in mirror.rows(conn, owner.organization_id, ids).items()}
    return [_view(row, today.get(row.pfa_id), mask) for row in rows]


def _view(row: ConflictRow, today: Mapping[str, Any] | None, mask: Mask) -> ConflictView:
    now = today if row.status == OPEN else None
    moved = {
        item.field: now.get(item.field)
        for item in row.disputed
        if now is not None and not same(now.get(item.field), item.pems)
    }
    return ConflictView(
        conflict_id=row.conflict_id,
        pfa_id=row.pfa_id,
        fields=mask.conflicts(row.disputed),
        status=row.status,
        modified_by=row.user_id,
        created_at=row.created_at,
        modification_id=row.modification_id,
        session_id=row.session_id,
        change_reason=row.change_reason,
        pems_now=mask.values(moved),
        resolution=row.resolution,
        settlement=mask.settlement(row.settlement),
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        masked=mask.hides,
    )
