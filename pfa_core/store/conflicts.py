"""Stored conflicts with PEMS: opened by a push, resolved by a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.errors import VersionConflict
from pfa_core.model.decision import ConflictResolution, ConflictStatus
from pfa_core.model.delta import FieldConflict
from pfa_core.model.ids import ConflictId, ModificationId, OrganizationId, PfaId, SessionId, UserId
from pfa_core.model.modification import State
from pfa_core.model.ordering import CONFLICTS, SortKey
from pfa_core.model.principal import Principal
from pfa_core.store import writing
from pfa_core.store.adapters import object_or_none, objects, typed_row
from pfa_core.store.ordering import By, order_by
from pfa_core.store.portions import json_portions

_SQL = sql.statements("conflicts")
_ORDERS = {
    "createdAt": By("c.created_at"),
    "pfaId": By("c.pfa_id"),
    "sessionId": By("m.session_id", nullable=True),
    "status": By('c.status COLLATE "C"'),
    "resolvedAt": By("c.resolved_at", nullable=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConflict:
    """A conflict to open; each of `fields` is an object of field, base, mine and pems."""

    conflict_id: ConflictId
    modification_id: ModificationId
    pfa_id: PfaId
    user_id: UserId
    fields: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictRow:
    """A conflict as stored, with its modification as it is now.

    The modification's fields are None where it was deleted.
    """

    conflict_id: ConflictId
    modification_id: ModificationId
    pfa_id: PfaId
    user_id: UserId
    fields: list[dict[str, Any]]
    status: ConflictStatus
    resolution: ConflictResolution | None
    settlement: dict[str, Any] | None
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: UserId | None
    state: State | None
    session_id: SessionId | None
    change_reason: str | None
    delta: dict[str, Any] | None
    base: dict[str, Any] | None

    @property
    def disputed(self) -> tuple[FieldConflict, ...]:
        """List the fields in conflict, as they were recorded."""
        return tuple(
            FieldConflict(
                item.get("field", "unreadable"),
                item.get("base"),
                item.get("mine"),
                item.get("pems"),
            )
            for item in objects(self.fields, "field")
        )


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolution of a conflict.

    `resolution` is mine, pems or merged; `settlement` has by field the decision and its value.
    """

    conflict_id: ConflictId
    resolution: ConflictResolution
    settlement: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommitment:
    """The rest of a modification, over the version that was read.

    An empty delta deletes the modification.
    """

    modification_id: ModificationId
    version: int
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int


@dataclass(frozen=True, slots=True)
class _Refreshed:
    """The fields of a conflict as they are now."""

    conflict_id: ConflictId
    fields: list[dict[str, Any]]


def insert(
    conn: Connection[Any],
    organization_id: OrganizationId,
    rows: Sequence[NewConflict],
    at: datetime,
) -> None:
    """Open conflicts; the fields of one that is open already are replaced."""
    values = {"organization_id": organization_id, "at": at}
    for portion in json_portions(rows):
        writing.changed(conn, _SQL, "insert", {**values, "conflicts": portion.json})


def find(
    conn: Connection[Any],
    principal: Principal,
    *,
    status: ConflictStatus | None = None,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    keys: Sequence[SortKey] = (),
) -> list[ConflictRow]:
    """List the principal's conflicts, the newest first unless keys say otherwise.

    Args:
        names: Conflict ids, as PostgreSQL writes them, or PFA ids.
    """
    values = {
        **_own(principal),
        "status": status,
        "names": None if names is None else list(names),
        "limit": limit,
    }
    order = order_by(keys or CONFLICTS.parse(), _ORDERS, "c.conflict_id")
    with conn.cursor(row_factory=typed_row(ConflictRow)) as cursor:
        found = cursor.execute(_SQL["find"].format(order=order), values)
        return [_readable(row) for row in found]


def _readable(row: ConflictRow) -> ConflictRow:
    """Return the row, with objects for whatever its settlement is."""
    if row.settlement is None:
        return row
    taken = object_or_none(row.settlement) or {}
    return replace(
        row, settlement={name: object_or_none(item) or {} for name, item in taken.items()}
    )


def hold(conn: Connection[Any], principal: Principal, conflict_ids: Sequence[ConflictId]) -> None:
    """Lock the conflicts against another resolution until the transaction ends."""
    conn.execute(_SQL["hold"], {**_own(principal), "conflict_ids": list(conflict_ids)})


def resolve(
    conn: Connection[Any],
    principal: Principal,
    resolutions: Sequence[Resolution],
    *,
    resolved_by: UserId,
    at: datetime,
) -> None:
    """Resolve the principal's open conflicts."""
    values = {**_own(principal), "resolved_by": resolved_by, "at": at}
    changed = sum(
        writing.changed(conn, _SQL, "resolve", {**values, "resolutions": portion.json})
        for portion in json_portions(resolutions)
    )
    _require_all(len(resolutions), changed)


def refresh(
    conn: Connection[Any],
    principal: Principal,
    fields: Mapping[ConflictId, Sequence[FieldConflict]],
) -> None:
    """Replace the fields of open conflicts, by conflict id."""
    rows = [
        _Refreshed(conflict_id, [asdict(item) for item in items])
        for conflict_id, items in fields.items()
    ]
    for portion in json_portions(rows):
        writing.changed(conn, _SQL, "refresh", {**_own(principal), "refreshed": portion.json})


def settle(
    conn: Connection[Any], principal: Principal, rows: Sequence[Recommitment], at: datetime
) -> None:
    """Commit modifications in conflict again.

    Each version is raised by one; modifications with an empty delta are deleted.
    """
    kept = [row for row in rows if row.delta]
    emptied = [row for row in rows if not row.delta]
    values = {**_own(principal), "at": at}
    for name, some in (("recommit", kept), ("drop", emptied)):
        changed = sum(
            writing.changed(conn, _SQL, name, {**values, "modifications": portion.json})
            for portion in json_portions(some)
        )
        _require_all(len(some), changed)


def _require_all(expected: int, changed: int) -> None:
    if changed != expected:
        raise VersionConflict(
            f"{expected - changed} of {expected} conflicts changed meanwhile; nothing was done",
            hint="type: pfa conflict list, then repeat the command",
        )


def _own(principal: Principal) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
