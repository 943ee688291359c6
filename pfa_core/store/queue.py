"""The queue of committed changes that pushes send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.model.ids import ModificationId, OrganizationId, PfaId, RunId, SessionId, UserId
from pfa_core.store import rls, writing

_SQL = sql.statements("queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A committed change that is due.

    `sent_version`: an earlier send on that version, of `sent_fields`, may have arrived.
    """

    modification_id: ModificationId
    pfa_id: PfaId
    user_id: UserId
    session_id: SessionId
    delta: dict[str, Any]
    base: dict[str, Any]
    version: int
    change_reason: str | None
    generation: int
    sent_version: str | None
    sent_fields: list[str] | None
    attempts: int
    failures: int
    first_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorValues:
    """The mirror's values of a modification's fields.

    `revision`: PEMS's version of them.
    """

    revision: str | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A committed change without further automatic retries.

    `sync_error` says why. Where `masked`, money is None.
    """

    modification_id: ModificationId
    pfa_id: PfaId
    user_id: UserId
    session_id: SessionId
    delta: dict[str, Any]
    attempts: int
    sync_error: str | None
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A failed send; `next_attempt_at` None: finally."""

    modification_id: ModificationId
    sent_version: str | None
    generation: int
    failures: int
    next_attempt_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent of a change, or may have been: recorded before it is.

    `version` None: nothing. `fields` None: all of the delta.
    """

    modification_id: ModificationId
    version: str | None
    fields: Sequence[str] | None
    generation: int

    def row(self) -> dict[str, Any]:
        """Make the row of a statement's parameter."""
        return {
            "modification_id": self.modification_id,
            "sent_version": self.version,
            "sent_fields": None if self.fields is None else list(self.fields),
            "generation": self.generation,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """The committed changes of a push: of a session, some of them, or all."""

    session_id: str | None = None
    modification_ids: tuple[ModificationId, ...] | None = None

    def values(self) -> dict[str, Any]:
        """Make the scope's parameters."""
        ids = self.modification_ids
        return {
            "session_id": self.session_id,
            "modification_ids": None if ids is None else list(ids),
        }


def due(
    conn: Connection[Any],
    organization_id: OrganizationId,
    scope: Scope,
    *,
    at: datetime,
    limit: int,
) -> list[QueueRow]:
    """Lock the changes to send next, the oldest first, never two of one record."""
    values = {"organization_id": organization_id, "at": at, "limit": limit, **scope.values()}
    with conn.cursor(row_factory=class_row(QueueRow)) as cursor:
        return cursor.execute(_SQL["due"], values).fetchall()


def mirror_values(
    conn: Connection[Any], organization_id: OrganizationId, ids: Sequence[ModificationId]
) -> dict[ModificationId, MirrorValues]:
    """Read the mirror's values of each modification's fields, by modification id."""
    values = {"organization_id": organization_id, "modification_ids": list(ids)}
    rows = conn.execute(_SQL["mirror_values"], values)
    return {row[0]: MirrorValues(row[1], row[2] or {}) for row in rows}


def claim(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    claims: Iterable[Intent],
    at: datetime,
) -> None:
    """Claim committed changes (committed, sync_error → syncing)."""
    rows = [item.row() for item in claims]
    _run(conn, "claim", organization_id, run_id, claims=Jsonb(rows), at=at)


def mark(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    marks: Iterable[Intent],
) -> set[ModificationId]:
    """Record what is about to be sent.

    Returns:
        The ids still claimed.
    """
    rows = [item.row() for item in marks]
    return _run(conn, "mark", organization_id, run_id, marks=Jsonb(rows))


def acknowledge(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    ids: Sequence[ModificationId],
    at: datetime,
) -> set[ModificationId]:
    """Acknowledge sends (syncing → synced); return the ids that the run still claimed."""
    return _run(conn, "acknowledge", organization_id, run_id, modification_ids=list(ids), at=at)


def reject(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    rejections: Sequence[Rejection],
    at: datetime,
) -> set[ModificationId]:
    """Reject sends (syncing → sync_error); return the ids that the run still claimed."""
    rows = [
        {
            "modification_id": item.modification_id,
            "sent_version": item.sent_version,
            "generation": item.generation,
            "failures": item.failures,
            "next_attempt_at": item.next_attempt_at.isoformat() if item.next_attempt_at else None,
            "message": item.message,
        }
        for item in rejections
    ]
    return _run(conn, "reject", organization_id, run_id, rejections=Jsonb(rows), at=at)


def dispute(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    disputes: Sequence[tuple[ModificationId, Mapping[str, Any], Mapping[str, Any]]],
) -> set[ModificationId]:
    """Dispute sends (syncing → conflict); return the ids that the run still claimed.

    Args:
        disputes: (modification id, delta, new base values of some of its fields).
    """
    rows = [
        {"modification_id": key, "delta": dict(delta), "rebased": dict(rebased)}
        for key, delta, rebased in disputes
    ]
    return _run(conn, "dispute", organization_id, run_id, disputes=Jsonb(rows))


def hand_back(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    returns: Sequence[tuple[ModificationId, str | None, int]],
) -> set[ModificationId]:
    """Return unsent claims to the queue (syncing → committed).

    Args:
        returns: (modification id, sent version that is still in doubt, generation).
    """
    rows = [
        {"modification_id": key, "sent_version": sent, "generation": generation}
        for key, sent, generation in returns
    ]
    return _run(conn, "hand_back", organization_id, run_id, returns=Jsonb(rows))


def recover(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId
) -> list[tuple[ModificationId, PfaId, int]]:
    """Return the claims of ended runs to the queue.

    Returns:
        For each claim (modification id, record, attempts).
    """
    values = {"organization_id": organization_id, "run_id": run_id}
    return writing.returned(conn.cursor(), _SQL, "recover", values).fetchall()


def shift_bases(
    conn: Connection[Any], organization_id: OrganizationId, settled: Sequence[Mapping[str, Any]]
) -> None:
    """Rebase the users' other changes of the records on what PEMS has accepted.

    Args:
        settled: Rows of user_id, pfa_id and delta.
    """
    if settled:
        values = {"organization_id": organization_id, "settled": Jsonb(list(settled))}
        conn.execute(_SQL.for_role("shift_bases", rls=rls.applies(conn)), values)


def next_due(
    conn: Connection[Any], organization_id: OrganizationId, scope: Scope
) -> datetime | None:
    """Return when the next retry is due; None: no committed change waits for one."""
    values = {"organization_id": organization_id, **scope.values()}
    row = conn.execute(_SQL["next_due"], values).fetchone()
    return row[0] if row else None


def left(
    conn: Connection[Any],
    organization_id: OrganizationId,
    scope: Scope,
    tried: Sequence[ModificationId] = (),
) -> tuple[int, int]:
    """Count the changes still to be sent: committed ones, and retries that are due.

    Args:
        tried: Retries that do not count, since this run has tried them.

    Returns:
        Their number, and the number of them behind one that needs a decision.
    """
    values = {"organization_id": organization_id, **scope.values(), "tried": list(tried)}
    row = conn.execute(_SQL["left"], values).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def dead_letters(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId | None
) -> list[DeadLetter]:
    """Lock the dead letters of one run or all."""
    values = {"organization_id": organization_id, "run_id": run_id}
    with conn.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(_SQL["dead_letters"], values).fetchall()


def due_again(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId | None,
    at: datetime,
) -> list[ModificationId]:
    """List what earlier runs tried and is due, of one run or all."""
    values = {"organization_id": organization_id, "run_id": run_id, "at": at}
    return [row[0] for row in conn.execute(_SQL["due_again"], values)]


def requeue(
    conn: Connection[Any],
    organization_id: OrganizationId,
    ids: Sequence[ModificationId],
    at: datetime,
) -> None:
    """Make dead letters due again, from the first attempt of the retry schedule."""
    values = {"organization_id": organization_id, "modification_ids": list(ids), "at": at}
    writing.changed(conn, _SQL, "requeue", values)


def _run(
    conn: Connection[Any], name: str, organization_id: OrganizationId, run_id: RunId, **values: Any
) -> set[ModificationId]:
    values.update(organization_id=organization_id, run_id=run_id)
    return {row[0] for row in writing.returned(conn.cursor(), _SQL, name, values)}
