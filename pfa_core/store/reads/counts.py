"""Counts and times of a whole organization, for monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.audit import Direction
from pfa_core.model.ids import OrganizationId
from pfa_core.model.run import RunStatus
from pfa_core.store import rls
from pfa_core.store.adapters import typed_row

_SQL = sql.statements("counts")


@dataclass(frozen=True, slots=True)
class EndedRuns:
    """Runs of a direction with one status: how many, and when the last of them ended."""

    direction: Direction
    status: RunStatus
    number: int
    last_at: datetime | None


def records(conn: Connection[Any], organization_id: OrganizationId) -> tuple[int, int]:
    """Count the mirror's records, and those of them that PEMS does not have any more."""
    row = conn.execute(_SQL["records"], _of(organization_id)).fetchone()
    return row or (0, 0)


def modifications(conn: Connection[Any], organization_id: OrganizationId) -> dict[str, int]:
    """Count the modifications of all users by state; a state without any is absent."""
    statement = _SQL.for_role("modifications", rls=rls.applies(conn))
    return dict(conn.execute(statement, _of(organization_id)).fetchall())


def waiting(conn: Connection[Any], organization_id: OrganizationId) -> tuple[int, datetime | None]:
    """Count dead letters; since when the oldest other change waits for PEMS."""
    statement = _SQL.for_role("waiting", rls=rls.applies(conn))
    row = conn.execute(statement, _of(organization_id)).fetchone()
    return row or (0, None)


def conflicts(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Count the unresolved conflicts of all users."""
    statement = _SQL.for_role("conflicts", rls=rls.applies(conn))
    row = conn.execute(statement, _of(organization_id)).fetchone()
    return row[0] if row else 0


def baseline(conn: Connection[Any], organization_id: OrganizationId) -> datetime | None:
    """Return when the last complete pull began; None before the first."""
    row = conn.execute(_SQL["baseline"], _of(organization_id)).fetchone()
    return row[0] if row else None


def runs(conn: Connection[Any], organization_id: OrganizationId) -> list[EndedRuns]:
    """Count the ended runs by direction and status."""
    with conn.cursor(row_factory=typed_row(EndedRuns)) as cursor:
        return cursor.execute(_SQL["runs"], _of(organization_id)).fetchall()


def durations(conn: Connection[Any], organization_id: OrganizationId) -> dict[str, float]:
    """Return the seconds that the last run of each direction took."""
    return dict(conn.execute(_SQL["durations"], _of(organization_id)).fetchall())


def run_records(
    conn: Connection[Any], organization_id: OrganizationId
) -> list[tuple[str, str, Decimal]]:
    """Count the outcomes of ended runs: direction, outcome, number."""
    return conn.execute(_SQL["run_records"], _of(organization_id)).fetchall()


def held_leases(conn: Connection[Any], organization_id: OrganizationId, at: datetime) -> set[str]:
    """List the leases that have not expired at a time of the database's clock."""
    rows = conn.execute(_SQL["leases"], {**_of(organization_id), "at": at}).fetchall()
    return {name for (name,) in rows}


def _of(organization_id: OrganizationId) -> dict[str, Any]:
    return {"organization_id": organization_id}
