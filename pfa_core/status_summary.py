"""Where one stands: sessions, what waits, how old the baseline is, runs, the audit trail."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.model.delta import three_way
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import Run
from pfa_core.store import mirror, modifications, runs
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session's modifications in one state; `overtaken` counts those PEMS moved under."""

    session_id: str
    state: str
    records: int
    last_change: datetime
    overtaken: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Where the principal stands. `baseline_at` is when the last pull ended, None before the first;
    `committed` counts what is on its way to PEMS, retries too, `sync_errors` what is not sent again by
    itself."""

    organization_id: str
    user_id: str
    role: str
    record_count: int
    baseline_at: datetime | None
    sessions: list[SessionStatus]
    drafts: int
    committed: int
    conflicts: int
    sync_errors: int
    overtaken: int
    runs: list[Run]
    next_command: str


def status(db: Database, principal: Principal) -> StatusReport:
    """Sessions, drafts, conflicts, what waits to be pushed, age of the baseline, last runs, and the
    next command to type."""

    def work(conn: Connection[Any]) -> StatusReport:
        member = authorize(conn, principal, Operation.STATUS)
        code = principal.organization_id
        overtaken = _overtaken(conn, principal)
        rows = modifications.sessions(conn, principal)
        retrying = sum(row.retrying for row in rows)
        sessions = [
            SessionStatus(
                row.session_id,
                row.state,
                row.records,
                row.last_change,
                overtaken[row.session_id, row.state],
            )
            for row in rows
        ]
        count = mirror.count(conn, code)
        return StatusReport(
            organization_id=code,
            user_id=principal.user_id,
            role=member.role,
            record_count=count,
            baseline_at=runs.last_pull(conn, code),
            sessions=sessions,
            drafts=_records(sessions, State.DRAFT),
            committed=_records(sessions, State.COMMITTED)
            + _records(sessions, State.SYNCING)
            + retrying,
            conflicts=_records(sessions, State.CONFLICT),
            sync_errors=_records(sessions, State.SYNC_ERROR) - retrying,
            overtaken=overtaken.total(),
            runs=runs.runs(conn, code, 5),
            next_command=_next_command(count, sessions, retrying),
        )

    return db.read(work)


def _overtaken(conn: Connection[Any], principal: Principal) -> Counter[tuple[str, str]]:
    moved = modifications.stale(conn, principal)
    rows = mirror.rows(conn, principal.organization_id, [row.pfa_id for row in moved])
    return Counter(
        (row.session_id, row.state)
        for row in moved
        if three_way(row.base, row.delta, rows[row.pfa_id].data)
    )


def _records(sessions: Sequence[SessionStatus], state: str) -> int:
    return sum(session.records for session in sessions if session.state == state)


def _next_command(count: int, sessions: Sequence[SessionStatus], retrying: int) -> str:
    if not count:
        return "pfa sync pull --from FILE"
    if _records(sessions, State.CONFLICT):
        return "pfa conflict list"
    drafts = [session for session in sessions if session.state == State.DRAFT]
    moved = [session for session in drafts if session.overtaken]
    if moved:
        return f"pfa diff {shlex.quote(moved[0].session_id)}"
    if drafts:
        return f"pfa commit --session {shlex.quote(drafts[0].session_id)}"
    if _records(sessions, State.COMMITTED) or _records(sessions, State.SYNCING) or retrying:
        return "pfa sync push"
    if _records(sessions, State.SYNC_ERROR):
        return "pfa sync retry --dry-run"
    return "pfa list"
