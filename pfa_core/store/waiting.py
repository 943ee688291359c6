"""What a push would send of the queue: read for its plan and its limits."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import ModificationId, OrganizationId, PfaId, SessionId, UserId
from pfa_core.model.modification import State
from pfa_core.store.adapters import typed_row
from pfa_core.store.queue import Scope

_SQL = sql.statements("waiting")
_STREAMED = 1000  # rows that a stream reads at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A committed change that a push would send.

    `next_attempt_at` None: at once. Where `masked`, money is None.
    """

    modification_id: ModificationId
    pfa_id: PfaId
    user_id: UserId
    session_id: SessionId
    state: State
    delta: dict[str, Any]
    change_reason: str | None
    attempts: int
    next_attempt_at: datetime | None
    masked: bool = False


def in_order(
    conn: Connection[Any],
    organization_id: OrganizationId,
    session_id: str | None,
    limit: int | None,
) -> list[Waiting]:
    """List what a push would send, in order."""
    values = {"organization_id": organization_id, "limit": limit, **Scope(session_id).values()}
    with conn.cursor(row_factory=typed_row(Waiting)) as cursor:
        return cursor.execute(_SQL["in_order"], values).fetchall()


def stream_in_order(
    conn: Connection[Any],
    organization_id: OrganizationId,
    session_id: str | None,
    limit: int | None,
) -> tuple[int, Iterator[Waiting]]:
    """Count what a push would send, and stream it in constant memory."""
    values = {"organization_id": organization_id, "limit": limit, **Scope(session_id).values()}
    row = conn.execute(_SQL["number"], values).fetchone()
    return row[0] if row else 0, _streamed(conn, values)


def _streamed(conn: Connection[Any], values: Mapping[str, Any]) -> Iterator[Waiting]:
    with conn.cursor(name="pfa_waiting", row_factory=typed_row(Waiting)) as cursor:
        cursor.itersize = _STREAMED
        yield from cursor.execute(_SQL["in_order"], values)


def by_record(
    conn: Connection[Any], organization_id: OrganizationId, scope: Scope, limit: int | None
) -> Generator[tuple[ModificationId, PfaId, dict[str, Any]], None, None]:
    """Stream the changes that a push would send, by record.

    Those of one record are in the order in which they are sent.

    Args:
        limit: Only as many, the oldest.
    """
    values = {"organization_id": organization_id, "limit": limit, **scope.values()}
    with conn.cursor(name="pfa_to_send") as cursor:
        cursor.itersize = _STREAMED
        yield from cursor.execute(_SQL["by_record"], values)


def records(
    conn: Connection[Any], organization_id: OrganizationId, scope: Scope, limit: int | None
) -> int:
    """Count the records that a push would send changes of."""
    values = {"organization_id": organization_id, "limit": limit, **scope.values()}
    row = conn.execute(_SQL["records"], values).fetchone()
    return row[0] if row else 0
