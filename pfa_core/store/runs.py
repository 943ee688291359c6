"""Runs of pull and push, with their outcomes of single records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.errors import NotFound
from pfa_core.model.audit import Direction
from pfa_core.model.ids import ModificationId, OrganizationId, PfaId, RunId
from pfa_core.model.ordering import OUTCOMES, RUNS, SortKey
from pfa_core.model.run import Behind, Outcome, Run
from pfa_core.store import writing
from pfa_core.store.adapters import object_or_none, plain, typed_row
from pfa_core.store.ordering import By, order_by

_SQL = sql.statements("runs")
# What is said of a run whose process no longer renews its lease.
ABANDONED = "process disappeared (killed or host down)"
_RUNS = {
    "startedAt": By("l.started_at"),
    "finishedAt": By("l.finished_at", nullable=True),
    "direction": By("l.direction"),
    "status": By("status"),
    "userId": By('l.user_id COLLATE "C"'),
    "source": By('l.source COLLATE "C"'),
}
# Without another order what needs no attention comes last.
_OUTCOMES = {
    "number": By("outcome = 'synced' AND code = '', number"),
    "pfaId": By("pfa_id", nullable=True),
    "outcome": By('outcome COLLATE "C"'),
    "code": By('code COLLATE "C"'),
    "at": By("at"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutcome:
    """The outcome of one record in a run; `number` is its position there."""

    outcome_id: str
    number: int
    pfa_id: PfaId
    position: str
    outcome: str
    code: str
    message: str
    modification_id: ModificationId | None = None
    attempt: int | None = None


def put(conn: Connection[Any], organization_id: OrganizationId, run: Run) -> None:
    """Record a run's present state: at its start, and at its end."""
    values = {**plain(run), "organization_id": organization_id, "counts": Jsonb(dict(run.counts))}
    writing.changed(conn, _SQL, "put", values)


def put_since(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId, since: datetime
) -> None:
    """Record from when on a running run reads."""
    values = {"organization_id": organization_id, "run_id": run_id, "since": since}
    writing.changed(conn, _SQL, "put_since", values)


def progress(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId, counts: Mapping[str, int]
) -> None:
    """Record the progress of a running run."""
    values = {"organization_id": organization_id, "run_id": run_id, "counts": Jsonb(dict(counts))}
    writing.changed(conn, _SQL, "progress", values)


def mark_abandoned(
    conn: Connection[Any],
    organization_id: OrganizationId,
    direction: Direction,
    run_id: RunId,
    *,
    at: datetime,
    message: str,
) -> list[RunId]:
    """Mark the direction's running runs but `run_id` as failed.

    The runs marked were killed.

    Returns:
        Their ids.
    """
    values = {
        "organization_id": organization_id,
        "direction": direction,
        "run_id": run_id,
        "at": at,
        "message": message,
    }
    return [row[0] for row in writing.returned(conn.cursor(), _SQL, "mark_abandoned", values)]


def add_outcomes(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    outcomes: Sequence[NewOutcome],
    at: datetime,
) -> None:
    """Record outcomes of single records."""
    if outcomes:
        rows = Jsonb([plain(outcome) for outcome in outcomes])
        values = {"organization_id": organization_id, "run_id": run_id, "outcomes": rows, "at": at}
        writing.changed(conn, _SQL, "outcomes", values)


def runs(
    conn: Connection[Any],
    organization_id: OrganizationId,
    limit: int | None,
    keys: Sequence[SortKey] = (),
    *,
    run_id: RunId | None = None,
) -> list[Run]:
    """List runs as people see them, the latest first unless keys say otherwise.

    One that is marked running although its lease is not in force is failed: its process was killed.

    Args:
        run_id: Only this one.
    """
    statement = _SQL["list"].format(
        which=_SQL["which_run"] if run_id else "",
        order=order_by(keys or RUNS.parse(), _RUNS, "l.run_id"),
    )
    values = {
        "organization_id": organization_id,
        "run_id": run_id,
        "limit": limit,
        "abandoned": ABANDONED,
    }
    with conn.cursor(row_factory=typed_row(Run)) as cursor:
        return [_readable(row) for row in cursor.execute(statement, values)]


def run(conn: Connection[Any], organization_id: OrganizationId, run_id: RunId) -> Run | None:
    """Read a run; None: unknown."""
    with conn.cursor(row_factory=typed_row(Run)) as cursor:
        values = {"organization_id": organization_id, "run_id": run_id}
        row = cursor.execute(_SQL["one"], values).fetchone()
    return row and _readable(row)


def named(conn: Connection[Any], organization_id: OrganizationId, text: str) -> Run:
    """Return the run with the id that a caller gives, as people see it.

    Raises:
        NotFound: The organization has no such run.
    """
    with suppress(ValueError):
        wanted = RunId(str(UUID(text.strip())))
        if found := runs(conn, organization_id, 1, run_id=wanted):
            return found[0]
    raise NotFound(f"run not found: {text!r}", hint="type: pfa sync runs")


def _readable(row: Run) -> Run:
    """Return the run, with the counts that are numbers."""
    counts = object_or_none(row.counts) or {}
    numbers = {name: number for name, number in counts.items() if isinstance(number, int | Decimal)}
    return row if numbers == row.counts else replace(row, counts=numbers)


def outcomes(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    *,
    keys: Sequence[SortKey] = (),
    limit: int | None = None,
) -> list[Outcome]:
    """List the outcomes of a run's records, in its order unless keys say otherwise."""
    order = order_by(keys or OUTCOMES.parse(), _OUTCOMES, "outcome_id")
    with conn.cursor(row_factory=class_row(Outcome)) as cursor:
        values = {"organization_id": organization_id, "run_id": run_id, "limit": limit}
        return cursor.execute(_SQL["of_run"].format(order=order), values).fetchall()


def last_pull(conn: Connection[Any], organization_id: OrganizationId) -> datetime | None:
    """Return when the last completed pull ended.

    A partial one, or one since a given time, brought nothing whole.
    """
    row = conn.execute(_SQL["last_pull"], {"organization_id": organization_id}).fetchone()
    return row[0] if row else None


def unfinished(conn: Connection[Any], organization_id: OrganizationId) -> datetime | None:
    """Return when a full pull from PEMS ended that the next one can resume.

    None where there was no such pull.
    """
    row = conn.execute(_SQL["unfinished"], {"organization_id": organization_id}).fetchone()
    return row[0] if row else None


def put_behind(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId, behind: Behind
) -> None:
    """Record what a pull from PEMS has refused so far."""
    values = {
        "organization_id": organization_id,
        "run_id": run_id,
        "behind": behind.number,
        "behind_since": behind.since,
    }
    writing.changed(conn, _SQL, "put_behind", values)


def behind(conn: Connection[Any], organization_id: OrganizationId) -> Behind:
    """Return what the last complete pull from PEMS refused."""
    row = conn.execute(_SQL["behind"], {"organization_id": organization_id}).fetchone()
    return Behind(*row) if row else Behind()


def last_from_pems(
    conn: Connection[Any], organization_id: OrganizationId, source: str
) -> datetime | None:
    """Return from when on the next pull from this PEMS has to ask; None: everything."""
    values = {"organization_id": organization_id, "source": source}
    row = conn.execute(_SQL["last_from_pems"], values).fetchone()
    return row[0] if row else None


def cut_off(
    conn: Connection[Any], organization_id: OrganizationId, source: str, after: datetime
) -> tuple[RunId, datetime, Behind] | None:
    """Find the last full pull from this PEMS interrupted since then.

    Returns:
        Its id, when it began, and what it refused.
    """
    values = {"organization_id": organization_id, "source": source, "after": after}
    row = conn.execute(_SQL["cut_off"], values).fetchone()
    return (row[0], row[1], Behind(row[2], row[3])) if row else None
