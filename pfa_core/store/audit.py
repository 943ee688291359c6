"""The audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.errors import Denial
from pfa_core.model.ids import NewId
from pfa_core.model.principal import Principal
from pfa_core.store.plain import plain

_SQL = sql.statements("audit")


@dataclass(frozen=True, slots=True)
class Entry:
    """What changed in one place: before → after, null where there was or is nothing."""

    entry_id: str
    pfa_id: str | None = None
    modification_id: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    before: Any = None
    after: Any = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the trail as read back; where `masked`, money is None in it."""

    entry_id: str
    at: datetime
    user_id: str
    action: str
    pfa_id: str | None
    session_id: str | None
    run_id: str | None
    before: Any
    after: Any
    reason: str | None
    masked: bool = False


def write(
    conn: Connection[Any],
    organization_id: str,
    user_id: str,
    action: str,
    at: datetime,
    entries: Sequence[Entry],
) -> None:
    """Append entries of one action, all of one instant."""
    if entries:
        conn.execute(
            _SQL["write"],
            {
                "organization_id": organization_id,
                "user_id": user_id,
                "action": action,
                "at": at,
                "entries": Jsonb([plain(entry) for entry in entries]),
            },
        )


def write_of(
    conn: Connection[Any],
    principal: Principal,
    action: str,
    at: datetime,
    modification_ids: Sequence[str],
    new_id: NewId,
    *,
    before: bool = True,
    after: bool = True,
) -> None:
    """Append an entry of one action for each modification, made of what it says now.

    Args:
        before, after: Whether it said that before the action, and says it after it.
    """
    if modification_ids:
        values = {
            "organization_id": principal.organization_id,
            "user_id": principal.user_id,
            "action": action,
            "at": at,
            "modification_ids": list(modification_ids),
            "entry_ids": [str(new_id()) for _ in modification_ids],
            "before": before,
            "after": after,
        }
        conn.execute(_SQL["write_of"], values)


def deny(conn: Connection[Any], denial: Denial, entry_id: str, at: datetime) -> None:
    """Append that somebody was refused something."""
    after = {
        "operation": denial.operation,
        "permission": denial.permission,
        "success": False,
    }
    entry = Entry(entry_id, after=after, reason=denial.reason)
    write(conn, denial.organization_id, denial.user_id, "permission_denied", at, [entry])


def entries(
    conn: Connection[Any],
    organization_id: str,
    *,
    user_id: str | None,
    pfa_id: str | None,
    session_id: str | None,
    limit: int,
) -> list[LogEntry]:
    """The newest entries first, of one user, record or session where asked."""
    values = {
        "organization_id": organization_id,
        "user_id": user_id,
        "pfa_id": pfa_id,
        "session_id": session_id,
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(LogEntry)) as cursor:
        return cursor.execute(_SQL["list"], values).fetchall()


def was_discarded(
    conn: Connection[Any], organization_id: str, user_id: str, session_id: str
) -> bool:
    """Whether the user once discarded drafts of this session."""
    values = {"organization_id": organization_id, "user_id": user_id, "session_id": session_id}
    row = conn.execute(_SQL["was_discarded"], values).fetchone()
    return bool(row and row[0])
