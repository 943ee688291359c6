"""Leases of runs, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, RunId, UserId
from pfa_core.store import writing

_SQL = sql.statements("leases")
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The holder of a lease: a run, the user who started it, and its process."""

    owner_id: RunId
    owner: UserId
    host: str
    pid: int
    acquired_at: datetime
    heartbeat_at: datetime | None
    expires_at: datetime


def clock(conn: Connection[Any]) -> datetime:
    """Read the database's clock, the one clock that all hosts share."""
    row = conn.execute(_SQL["clock"]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT of one value
    return row[0]


def acquire(
    conn: Connection[Any],
    organization_id: OrganizationId,
    name: str,
    owner_id: RunId,
    *,
    owner: UserId,
    host: str,
    pid: int,
    lifetime: timedelta,
    gone: RunId | None = None,
) -> bool:
    """Acquire the lease if it is free, expired, or held by the owner `gone`.

    The owner `gone` is known to be dead.
    """
    at = clock(conn)
    values = {
        **_key(organization_id, name, owner_id),
        "owner": owner,
        "host": host,
        "pid": pid,
        "at": at,
        "until": at + lifetime,
        "gone": gone,
        "too_late": at + 2 * lifetime + LONGEST,
    }
    return writing.returned(conn.cursor(), _SQL, "acquire", values).fetchone() is not None


def holder(conn: Connection[Any], organization_id: OrganizationId, name: str) -> Holder | None:
    """Read the holder of the lease, expired or not; None: it is free."""
    with conn.cursor(row_factory=class_row(Holder)) as cursor:
        values = {"organization_id": organization_id, "name": name}
        return cursor.execute(_SQL["holder"], values).fetchone()


def beat(
    conn: Connection[Any],
    organization_id: OrganizationId,
    name: str,
    owner_id: RunId,
    lifetime: timedelta,
) -> bool:
    """Renew the lease for another lifetime; False: another run holds it by now."""
    at = clock(conn)
    values = {**_key(organization_id, name, owner_id), "at": at, "until": at + lifetime}
    return writing.returned(conn.cursor(), _SQL, "beat", values).fetchone() is not None


def release(
    conn: Connection[Any], organization_id: OrganizationId, name: str, owner_id: RunId
) -> None:
    """Release the lease if the owner still holds it."""
    writing.changed(conn, _SQL, "release", _key(organization_id, name, owner_id))


def _key(organization_id: OrganizationId, name: str, owner_id: RunId) -> dict[str, Any]:
    return {"organization_id": organization_id, "name": name, "owner_id": owner_id}
