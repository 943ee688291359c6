"""Conflicts with PEMS, as stored: opened by a push, settled by a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.errors import VersionConflict
from pfa_core.model.delta import FieldConflict
from pfa_core.model.principal import Principal

_SQL = sql.statements("conflicts")

OPEN = "unresolved"
RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class NewConflict:
    """A conflict to open; each of `fields` is an object of field, base, mine and pems."""

    conflict_id: str
    modification_id: str
    pfa_id: str
    user_id: str
    fields: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """A conflict as stored, and its modification as it is now: None where that is gone."""

    conflict_id: str
    modification_id: str
    pfa_id: str
    user_id: str
    fields: list[dict[str, Any]]
    status: str
    resolution: str | None
    settlement: dict[str, Any] | None
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    state: str | None
    session_id: str | None
    change_reason: str | None
    delta: dict[str, Any] | None
    base: dict[str, Any] | None

    @property
    def disputed(self) -> tuple[FieldConflict, ...]:
        """The fields in conflict, as they were recorded."""
        return tuple(
            FieldConflict(item["field"], item.get("base"), item.get("mine"), item.get("pems"))
            for item in self.fields
        )


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a conflict ended: mine, pems or merged; by field what was taken and the value it has."""

    conflict_id: str
    resolution: str
    settlement: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Recommitment:
    """What is left of a modification, over the version that was read; an empty delta: it goes."""

    modification_id: str
    version: int
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int


def insert(
    conn: Connection[Any], organization_id: str, rows: Sequence[NewConflict], at: datetime
) -> None:
    """Open conflicts; where a modification's is open already, its fields are replaced."""
    if rows:
        conflicts = Jsonb([asdict(row) for row in rows])
        values = {"organization_id": organization_id, "conflicts": conflicts, "at": at}
        conn.execute(_SQL["insert"], values)


def find(
    conn: Connection[Any],
    principal: Principal,
    *,
    status: str | None = None,
    names: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[ConflictRow]:
    """The principal's conflicts, the newest first; of all states and records unless narrowed.

    Args:
        names: Conflict ids, as PostgreSQL writes them, or PFA ids.
    """
    values = {
        **_own(principal),
        "status": status,
        "names": None if names is None else list(names),
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(ConflictRow)) as cursor:
        return cursor.execute(_SQL["find"], values).fetchall()


def hold(conn: Connection[Any], principal: Principal, conflict_ids: Sequence[str]) -> None:
    """Keep the conflicts from being settled by another until the transaction ends."""
    conn.execute(_SQL["hold"], {**_own(principal), "conflict_ids": list(conflict_ids)})


def resolve(
    conn: Connection[Any],
    principal: Principal,
    resolutions: Sequence[Resolution],
    *,
    resolved_by: str,
    at: datetime,
) -> None:
    """Open → resolved, of the principal's conflicts."""
    rows = Jsonb([asdict(item) for item in resolutions])
    values = {**_own(principal), "resolutions": rows, "resolved_by": resolved_by, "at": at}
    _all_of(len(resolutions), conn.execute(_SQL["resolve"], values).rowcount)


def refresh(
    conn: Connection[Any],
    principal: Principal,
    fields: Mapping[str, Sequence[FieldConflict]],
) -> None:
    """Put down other fields, by conflict id; conflicts that are not open any more stay."""
    rows = [
        {"conflict_id": conflict_id, "fields": [asdict(item) for item in items]}
        for conflict_id, items in fields.items()
    ]
    conn.execute(_SQL["refresh"], {**_own(principal), "refreshed": Jsonb(rows)})


def settle(
    conn: Connection[Any], principal: Principal, rows: Sequence[Recommitment], at: datetime
) -> None:
    """Conflict → committed, each version raised by one; those of which nothing is left are gone."""
    left = [asdict(row) for row in rows if row.delta]
    gone = [asdict(row) for row in rows if not row.delta]
    for name, some in (("recommit", left), ("drop", gone)):
        values = {**_own(principal), "modifications": Jsonb(some), "at": at}
        _all_of(len(some), conn.execute(_SQL[name], values).rowcount)


def _all_of(expected: int, changed: int) -> None:
    if changed != expected:
        raise VersionConflict(
            f"{expected - changed} of {expected} conflicts changed meanwhile; nothing was done",
            hint="type: pfa conflict list, then repeat the command",
        )


def _own(principal: Principal) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
