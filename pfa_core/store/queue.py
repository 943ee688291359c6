"""The queue of commitments: what a pusher claims, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.store import rls

_SQL = sql.statements("queue")


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A commitment that is due. `sent_version`: an earlier send on that version may have arrived."""

    modification_id: str
    pfa_id: str
    user_id: str
    session_id: str
    delta: dict[str, Any]
    base: dict[str, Any]
    version: int
    change_reason: str | None
    generation: int
    sent_version: str | None
    attempts: int
    failures: int
    first_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorValues:
    """What the mirror holds in a modification's fields; `revision`: the version of PEMS it is."""

    revision: str | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A commitment that a push would send; `next_attempt_at` None: at once. Where `masked`, money is
    None."""

    modification_id: str
    pfa_id: str
    user_id: str
    session_id: str
    state: str
    delta: dict[str, Any]
    change_reason: str | None
    attempts: int
    next_attempt_at: datetime | None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A commitment that is not sent again by itself, and why; where `masked`, money is None."""

    modification_id: str
    pfa_id: str
    user_id: str
    session_id: str
    delta: dict[str, Any]
    attempts: int
    sync_error: str | None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """A send that failed; `next_attempt_at` None: for good."""

    modification_id: str
    sent_version: str | None
    generation: int
    failures: int
    next_attempt_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Which commitments a push is about: of a session, some of them, or all."""

    session_id: str | None = None
    modification_ids: tuple[str, ...] | None = None

    def values(self) -> dict[str, Any]:
        """The scope as parameters."""
        ids = self.modification_ids
        return {
            "session_id": self.session_id,
            "modification_ids": None if ids is None else list(ids),
        }


def due(
    conn: Connection[Any], organization_id: str, scope: Scope, *, at: datetime, limit: int
) -> list[QueueRow]:
    """What goes next, locked, the oldest first, never two of one record."""
    values = {"organization_id": organization_id, "at": at, "limit": limit, **scope.values()}
    with conn.cursor(row_factory=class_row(QueueRow)) as cursor:
        return cursor.execute(_SQL["due"], values).fetchall()


def mirror_values(
    conn: Connection[Any], organization_id: str, ids: Sequence[str]
) -> dict[str, MirrorValues]:
    """What the mirror holds in the fields of each modification, by modification id."""
    values = {"organization_id": organization_id, "modification_ids": list(ids)}
    rows = conn.execute(_SQL["mirror_values"], values)
    return {row[0]: MirrorValues(row[1], row[2] or {}) for row in rows}


def claim(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    claims: Mapping[str, str | None],
    at: datetime,
) -> None:
    """Committed, sync_error → syncing: modification id → the version it is about to be sent on."""
    rows = [{"modification_id": key, "sent_version": sent} for key, sent in claims.items()]
    _run(conn, "claim", organization_id, run_id, claims=Jsonb(rows), at=at)


def mark(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    marks: Sequence[tuple[str, str, int]],
) -> set[str]:
    """Put down (modification id, version, generation) before they are sent; those still claimed."""
    rows = [
        {"modification_id": key, "sent_version": version, "generation": generation}
        for key, version, generation in marks
    ]
    return _run(conn, "mark", organization_id, run_id, marks=Jsonb(rows))


def acknowledge(
    conn: Connection[Any], organization_id: str, run_id: str, ids: Sequence[str], at: datetime
) -> set[str]:
    """Syncing → synced; which of them were still claimed by the run."""
    return _run(conn, "acknowledge", organization_id, run_id, modification_ids=list(ids), at=at)


def reject(
    conn: Connection[Any], organization_id: str, run_id: str, rejections: Sequence[Rejection]
) -> set[str]:
    """Syncing → sync_error; which of them were still claimed by the run."""
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
    return _run(conn, "reject", organization_id, run_id, rejections=Jsonb(rows))


def dispute(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    disputes: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
) -> set[str]:
    """Syncing → conflict: (modification id, delta, values that fields of it start from by now);
    which were still claimed by the run."""
    rows = [
        {"modification_id": key, "delta": dict(delta), "rebased": dict(rebased)}
        for key, delta, rebased in disputes
    ]
    return _run(conn, "dispute", organization_id, run_id, disputes=Jsonb(rows))


def hand_back(
    conn: Connection[Any],
    organization_id: str,
    run_id: str,
    returns: Sequence[tuple[str, str | None, int]],
) -> set[str]:
    """Syncing → committed for what was claimed and not sent: (modification id, sent version that is
    still in doubt, generation)."""
    rows = [
        {"modification_id": key, "sent_version": sent, "generation": generation}
        for key, sent, generation in returns
    ]
    return _run(conn, "hand_back", organization_id, run_id, returns=Jsonb(rows))


def recover(conn: Connection[Any], organization_id: str, run_id: str) -> list[tuple[str, str, int]]:
    """Syncing → committed for the claims of runs that are no more: modification id, record, attempts."""
    values = {"organization_id": organization_id, "run_id": run_id}
    return conn.execute(_SQL["recover"], values).fetchall()


def shift_bases(
    conn: Connection[Any], organization_id: str, settled: Sequence[Mapping[str, Any]]
) -> None:
    """Let the users' other changes of the records start from what PEMS has taken: rows of user_id,
    pfa_id, delta."""
    if settled:
        values = {"organization_id": organization_id, "settled": Jsonb(list(settled))}
        conn.execute(_SQL.for_role("shift_bases", rls=rls.applies(conn)), values)


def next_due(conn: Connection[Any], organization_id: str, scope: Scope) -> datetime | None:
    """When the next retry is due, None when none waits."""
    values = {"organization_id": organization_id, **scope.values()}
    row = conn.execute(_SQL["next_due"], values).fetchone()
    return row[0] if row else None


def left(conn: Connection[Any], organization_id: str, scope: Scope) -> tuple[int, int]:
    """How many commitments are still to be sent, and how many of them wait behind one of their user's
    that waits for a person."""
    values = {"organization_id": organization_id, **scope.values()}
    row = conn.execute(_SQL["left"], values).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def waiting(
    conn: Connection[Any], organization_id: str, session_id: str | None, limit: int | None
) -> list[Waiting]:
    """What a push would send, in order."""
    values = {"organization_id": organization_id, "session_id": session_id, "limit": limit}
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(_SQL["waiting"], values).fetchall()


def dead_letters(
    conn: Connection[Any], organization_id: str, run_id: str | None
) -> list[DeadLetter]:
    """What is not sent again by itself, of one run or all; locked."""
    values = {"organization_id": organization_id, "run_id": run_id}
    with conn.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(_SQL["dead_letters"], values).fetchall()


def requeue(conn: Connection[Any], organization_id: str, ids: Sequence[str], at: datetime) -> None:
    """Let dead letters be due again, their ladder from its first rung."""
    values = {"organization_id": organization_id, "modification_ids": list(ids), "at": at}
    conn.execute(_SQL["requeue"], values)


def _run(
    conn: Connection[Any], name: str, organization_id: str, run_id: str, **values: Any
) -> set[str]:
    values.update(organization_id=organization_id, run_id=run_id)
    return {row[0] for row in conn.execute(_SQL[name], values)}
