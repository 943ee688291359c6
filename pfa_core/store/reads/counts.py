"""Counts and moments of a whole organization, for those who watch it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.store import rls

_SQL = sql.statements("counts")


@dataclass(frozen=True, slots=True)
class EndedRuns:
    """How many runs of a direction ended so, and when the last of them did."""

    direction: str
    status: str
    number: int
    last_at: datetime | None


def records(conn: Connection[Any], organization_id: str) -> tuple[int, int]:
    """How many records the mirror has, and how many of them PEMS has no more."""
    row = conn.execute(_SQL["records"], _of(organization_id)).fetchone()
    return row or (0, 0)


def modifications(conn: Connection[Any], organization_id: str) -> dict[str, int]:
    """How many modifications of all users are in each state that has any."""
    statement = _SQL.for_role("modifications", rls=rls.applies(conn))
    return dict(conn.execute(statement, _of(organization_id)).fetchall())


def waiting(conn: Connection[Any], organization_id: str) -> tuple[int, datetime | None]:
    """How many dead letters there are; since when the oldest other commitment waits for PEMS."""
    statement = _SQL.for_role("waiting", rls=rls.applies(conn))
    row = conn.execute(statement, _of(organization_id)).fetchone()
    return row or (0, None)


def conflicts(conn: Connection[Any], organization_id: str) -> int:
    """How many conflicts wait for a person."""
    statement = _SQL.for_role("conflicts", rls=rls.applies(conn))
    row = conn.execute(statement, _of(organization_id)).fetchone()
    return row[0] if row else 0


def baseline(conn: Connection[Any], organization_id: str) -> datetime | None:
    """When the last pull that arrived whole began; None before the first."""
    row = conn.execute(_SQL["baseline"], _of(organization_id)).fetchone()
    return row[0] if row else None


def runs(conn: Connection[Any], organization_id: str) -> list[EndedRuns]:
    """The runs that are over, by direction and status; only those that there were."""
    with conn.cursor(row_factory=class_row(EndedRuns)) as cursor:
        return cursor.execute(_SQL["runs"], _of(organization_id)).fetchall()


def durations(conn: Connection[Any], organization_id: str) -> dict[str, float]:
    """How many seconds the last run of each direction took."""
    return dict(conn.execute(_SQL["durations"], _of(organization_id)).fetchall())


def run_records(conn: Connection[Any], organization_id: str) -> list[tuple[str, str, Decimal]]:
    """What the runs that are over did with records: direction, outcome, how many."""
    return conn.execute(_SQL["run_records"], _of(organization_id)).fetchall()


def held_leases(conn: Connection[Any], organization_id: str, at: datetime) -> set[str]:
    """The leases that have not expired at a moment of the database's clock."""
    rows = conn.execute(_SQL["leases"], {**_of(organization_id), "at": at}).fetchall()
    return {name for (name,) in rows}


def _of(organization_id: str) -> dict[str, Any]:
    return {"organization_id": organization_id}
