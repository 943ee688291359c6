"""Leases: who is at work, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql

_SQL = sql.statements("leases")
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: a run, the user who started it, and the process it runs in."""

    owner_id: str
    owner: str
    host: str
    pid: int
    acquired_at: datetime
    heartbeat_at: datetime | None
    expires_at: datetime


def clock(conn: Connection[Any]) -> datetime:
    """Now, as the database has it: the one clock that every host agrees on."""
    row = conn.execute(_SQL["clock"]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT of one value
    return row[0]


def acquire(
    conn: Connection[Any],
    organization_id: str,
    name: str,
    owner_id: str,
    *,
    owner: str,
    host: str,
    pid: int,
    lifetime: timedelta,
    gone: str | None = None,
) -> bool:
    """Take the lease when it is free, expired, or held by the owner who is known to be gone."""
    at = clock(conn)
    values = {
        **_key(organization_id, name, owner_id),
        "owner": owner,
        "host": host,
        "pid": pid,
        "at": at,
        "until": at + lifetime,
        "gone": gone,
        "absurd": at + 2 * lifetime + LONGEST,
    }
    return conn.execute(_SQL["acquire"], values).fetchone() is not None


def holder(conn: Connection[Any], organization_id: str, name: str) -> Holder | None:
    """Who has the lease, expired or not; None where nobody has."""
    with conn.cursor(row_factory=class_row(Holder)) as cursor:
        values = {"organization_id": organization_id, "name": name}
        return cursor.execute(_SQL["holder"], values).fetchone()


def beat(
    conn: Connection[Any], organization_id: str, name: str, owner_id: str, lifetime: timedelta
) -> bool:
    """Hold the lease for another lifetime; False when it is somebody else's by now."""
    at = clock(conn)
    values = {**_key(organization_id, name, owner_id), "at": at, "until": at + lifetime}
    return conn.execute(_SQL["beat"], values).fetchone() is not None


def release(conn: Connection[Any], organization_id: str, name: str, owner_id: str) -> None:
    """Give the lease up, if it is still the owner's."""
    conn.execute(_SQL["release"], _key(organization_id, name, owner_id))


def _key(organization_id: str, name: str, owner_id: str) -> dict[str, Any]:
    return {"organization_id": organization_id, "name": name, "owner_id": owner_id}
