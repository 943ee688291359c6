"""Views of conflicts: their fields, their resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pfa_core.conflicts.owner import conflict_owner
from pfa_core.conflicts.selection import matching, one
from pfa_core.masking import Mask
from pfa_core.model.decision import ConflictResolution, ConflictStatus
from pfa_core.model.delta import FieldConflict, same
from pfa_core.model.ids import ConflictId, ModificationId, PfaId, SessionId, UserId
from pfa_core.model.ordering import CONFLICTS
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, require_limit, require_text
from pfa_core.model.rights import Operation
from pfa_core.model.suggest import not_one_of
from pfa_core.operation import Tx, reads
from pfa_core.store import mirror
from pfa_core.store.conflicts import ConflictRow

ALL = "all"
STATUSES = (*ConflictStatus, ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictView:
    """A conflict as a push recorded it, and its resolution.

    `fields` hold base, mine and PEMS's value of that time; `pems_now` PEMS's current value where it is
    another one, by field, of open conflicts only. `settlement` holds, by field, which value was taken.
    Session and reason are None when the modification is deleted. Where `masked`, money is None.
    """

    conflict_id: ConflictId
    pfa_id: PfaId
    fields: tuple[FieldConflict, ...]
    status: ConflictStatus
    modified_by: UserId
    created_at: datetime
    modification_id: ModificationId
    session_id: SessionId | None
    change_reason: str | None
    pems_now: Mapping[str, Any]
    resolution: ConflictResolution | None
    settlement: Mapping[str, Any] | None
    resolved_at: datetime | None
    resolved_by: UserId | None
    masked: bool = False


def _check_list(
    _filters: Filters | None = None,
    *,
    status: str = ConflictStatus.OPEN.value,
    limit: int | None = None,
    sort: str | None = None,
    **_: object,
) -> None:
    CONFLICTS.parse(sort)
    if status not in STATUSES:
        raise not_one_of(f"invalid status: {status!r}", status, STATUSES, listed="statuses")
    if limit is not None:
        require_limit(limit)


@reads(Operation.LIST_CONFLICTS, check=_check_list)
def list_conflicts(
    tx: Tx,
    filters: Filters | None = None,
    *,
    status: str = ConflictStatus.OPEN.value,
    user_id: str | None = None,
    limit: int | None = None,
    sort: str | None = None,
) -> list[ConflictView]:
    """List the conflicts of the principal's modifications, the newest first.

    Args:
        filters: Of the records, on their current merged values; state and session are those of the modification.
        status: unresolved, resolved or all.
        user_id: Another member's instead, which takes the right to manage users.
        limit: The maximum number; None for all.
        sort: Other keys than `-createdAt`, see `model.ordering.CONFLICTS`.

    Raises:
        InvalidRequest: An invalid status, limit or sort key.
        PermissionDenied: Another member's without the right, or an expression over money without that.
    """
    owner = conflict_owner(tx, user_id)
    wanted = None if status == ALL else ConflictStatus(status)
    keys = CONFLICTS.parse(sort)
    asked = tx.asked(filters or Filters())
    found = matching(tx.conn, owner, asked, wanted, keys=keys, limit=limit)
    return _views(tx, owner, found)


def _check_show(conflict_id: str, **_: object) -> None:
    require_text(conflict_id)


@reads(Operation.SHOW_CONFLICT, check=_check_show)
def show_conflict(tx: Tx, conflict_id: str, *, user_id: str | None = None) -> ConflictView:
    """Show a conflict, by its id or by that of a record with one open conflict.

    Raises:
        NotFound: The principal (or the member named) has none of that id, or several.
        PermissionDenied: Another member's without the right to manage users.
    """
    owner = conflict_owner(tx, user_id)
    return _views(tx, owner, [one(tx.conn, owner, conflict_id)])[0]


def _views(tx: Tx, owner: Principal, rows: Sequence[ConflictRow]) -> list[ConflictView]:
    ids = [row.pfa_id for row in rows if row.status == ConflictStatus.OPEN]
    current = {
        pfa_id: row.data for pfa_id, row in mirror.rows(tx.conn, owner.organization_id, ids).items()
    }
    return [_view(row, current.get(row.pfa_id), tx.mask) for row in rows]


def _view(row: ConflictRow, current: Mapping[str, Any] | None, mask: Mask) -> ConflictView:
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
        pems_now=mask.values(_changed_since(row, current)),
        resolution=row.resolution,
        settlement=mask.settlement(row.settlement),
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        masked=mask.hides,
    )


def _changed_since(row: ConflictRow, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return PEMS's current values that an open conflict does not show yet."""
    if current is None or row.status != ConflictStatus.OPEN:
        return {}
    return {
        item.field: current.get(item.field)
        for item in row.disputed
        if not same(current.get(item.field), item.pems)
    }
