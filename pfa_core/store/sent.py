"""The caller's changes that PEMS has taken, with the values before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection, capabilities
from psycopg.rows import args_row, class_row

from pfa_core import sql
from pfa_core.model.ids import ModificationId, PfaId, RunId, SessionId
from pfa_core.model.principal import Principal
from pfa_core.store import audit
from pfa_core.store.modifications import of_caller
from pfa_core.store.portions import PORTION

_SQL = sql.statements("sent")


class SentMark(NamedTuple):
    """A change that PEMS has taken, without its content."""

    modification_id: ModificationId
    pfa_id: PfaId


@dataclass(frozen=True, slots=True, kw_only=True)
class SentChange:
    """The values of a change's fields in PEMS before it and just after."""

    modification_id: ModificationId
    pfa_id: PfaId
    session_id: SessionId
    synced_at: datetime
    before: dict[str, Any]
    after: dict[str, Any]


def of_session(conn: Connection[Any], principal: Principal, session_id: str) -> list[SentMark]:
    """List the session's changes that PEMS has taken, in PFA id order."""
    return _marks(conn, "of_session", principal, session_id=session_id)


def of_run(conn: Connection[Any], principal: Principal, run_id: RunId) -> list[SentMark]:
    """List the principal's changes that PEMS took in a push, in PFA id order."""
    return _marks(conn, "of_run", principal, run_id=run_id)


def of_records(conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]) -> list[SentMark]:
    """List the last change of each record that PEMS has taken, in PFA id order."""
    named = audit.committed_of(conn, principal, ids)
    return _marks(conn, "of_records", principal, modification_ids=named) if named else []


def waiting(conn: Connection[Any], principal: Principal, session_id: str) -> int:
    """Count the session's drafts and changes that PEMS does not have."""
    values = {**of_caller(principal), "session_id": session_id}
    row = conn.execute(_SQL["waiting"], values).fetchone()
    return row[0] if row else 0


def values(
    conn: Connection[Any], principal: Principal, modification_ids: Sequence[ModificationId]
) -> list[SentChange]:
    """Read the values before and after changes.

    They are by record, in the order in which PEMS took them.
    """
    given = {**of_caller(principal), "modification_ids": list(modification_ids)}
    with conn.cursor(row_factory=class_row(SentChange)) as cursor:
        return cursor.execute(_SQL["values"], given).fetchall()


def _marks(conn: Connection[Any], name: str, principal: Principal, **given: Any) -> list[SentMark]:
    # Row by row: libpq's result of hundreds of thousands would be in memory beside them.
    size = PORTION if capabilities.has_stream_chunked() else 1
    with conn.cursor(row_factory=args_row(SentMark)) as cursor:
        return list(cursor.stream(_SQL[name], {**of_caller(principal), **given}, size=size))
