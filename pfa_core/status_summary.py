"""The status of the caller's drafts, sessions and runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfa_core.model import shell
from pfa_core.model.delta import three_way
from pfa_core.model.ids import OrganizationId, SessionId, UserId
from pfa_core.model.member import OrganizationStatus
from pfa_core.model.modification import State
from pfa_core.model.principal import Role
from pfa_core.model.rights import Operation
from pfa_core.model.run import Run
from pfa_core.operation import Tx, reads
from pfa_core.store import members, mirror, modifications, runs

OLD_BASELINE = timedelta(days=1)  # since the last pull: from then on PEMS's values are named old


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """One session's modifications in one state.

    `overtaken` counts those whose fields PEMS changed since.
    """

    session_id: SessionId
    state: State
    records: int
    last_change: datetime
    overtaken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The state of the caller's work.

    It has the caller's sessions, what waits in them, the age of the baseline and the last runs.
    `baseline_at` is when the last completed pull ended, None before the first; `pull_interrupted_at` when a
    pull from PEMS ended that the next one resumes; `behind` counts the records
    that the last complete pull from PEMS (`behind_run_id`) refused, the earliest changed there at
    `behind_since`, None where that is unknown; `committed` counts what is on its way to PEMS, retries too,
    `sync_errors` what is not sent again without `pfa sync retry`. Where `organization_status` is not active,
    nothing is exchanged with PEMS.
    """

    organization_id: OrganizationId
    user_id: UserId
    role: Role
    organization_status: OrganizationStatus
    record_count: int
    baseline_at: datetime | None
    pull_interrupted_at: datetime | None
    behind: int
    behind_since: datetime | None
    behind_run_id: str | None
    sessions: list[SessionStatus]
    drafts: int
    committed: int
    conflicts: int
    sync_errors: int
    overtaken: int
    runs: list[Run]
    next_command: str


@reads(Operation.STATUS)
def status(tx: Tx) -> StatusReport:
    """Summarize the caller's drafts, conflicts and pending changes.

    With them comes the next command to type.
    """
    rows = modifications.sessions(tx.conn, tx.principal)
    overtaken = _overtaken(tx)
    sessions = [_session(row, overtaken) for row in rows]
    retrying = sum(row.retrying for row in rows)
    count = mirror.count(tx.conn, tx.organization_id)
    behind = runs.behind(tx.conn, tx.organization_id)
    interrupted_at = runs.unfinished(tx.conn, tx.organization_id)
    row = members.organization(tx.conn, tx.organization_id)
    state = OrganizationStatus(row.status) if row else OrganizationStatus.ACTIVE
    under_way = _records(sessions, State.COMMITTED) + _records(sessions, State.SYNCING) + retrying
    return StatusReport(
        organization_id=tx.organization_id,
        user_id=tx.user_id,
        role=tx.member.role,
        organization_status=state,
        record_count=count,
        baseline_at=runs.last_pull(tx.conn, tx.organization_id),
        pull_interrupted_at=interrupted_at,
        behind=behind.number,
        behind_since=behind.since,
        behind_run_id=behind.run_id if behind.number else None,
        sessions=sessions,
        drafts=_records(sessions, State.DRAFT),
        committed=under_way,
        conflicts=_records(sessions, State.CONFLICT),
        sync_errors=_records(sessions, State.SYNC_ERROR) - retrying,
        overtaken=overtaken.total(),
        runs=runs.runs(tx.conn, tx.organization_id, 5),
        next_command=_next_command(
            state, sessions, count=count, under_way=under_way, interrupted=bool(interrupted_at)
        ),
    )


def _overtaken(tx: Tx) -> Counter[tuple[str, str]]:
    """Count the modifications by session and state whose fields PEMS changed since."""
    stale = modifications.stale(tx.conn, tx.principal)
    if not stale:
        return Counter()
    rows = mirror.rows(tx.conn, tx.organization_id, [row.pfa_id for row in stale])
    return Counter(
        (row.session_id, row.state)
        for row in modifications.with_own_bases(stale, rows)
        if three_way(row.base, row.delta, rows[row.pfa_id].data)
    )


def _session(row: modifications.SessionRow, overtaken: Counter[tuple[str, str]]) -> SessionStatus:
    return SessionStatus(
        session_id=row.session_id,
        state=State(row.state),
        records=row.records,
        last_change=row.last_change,
        overtaken=overtaken[row.session_id, row.state],
    )


def _records(sessions: Sequence[SessionStatus], state: State) -> int:
    return sum(session.records for session in sessions if session.state == state)


def _next_command(
    organization: OrganizationStatus,
    sessions: Sequence[SessionStatus],
    *,
    count: int,
    under_way: int,
    interrupted: bool,
) -> str:
    """Choose the next step among those that the organization takes."""
    exchanges = organization is OrganizationStatus.ACTIVE
    if organization is OrganizationStatus.ARCHIVED:
        return "pfa list"
    if exchanges and interrupted:
        return "pfa sync pull"
    if exchanges and not count:
        return "pfa sync pull --from FILE"
    if _records(sessions, State.CONFLICT):
        return "pfa conflict list"
    drafts = [session for session in sessions if session.state == State.DRAFT]
    overtaken = [session for session in drafts if session.overtaken]
    if overtaken:
        return f"pfa commit --session {shell.word(overtaken[0].session_id)} --dry-run"
    if drafts:
        return f"pfa commit --session {shell.word(drafts[0].session_id)}"
    if exchanges and under_way:
        return "pfa sync push"
    if exchanges and _records(sessions, State.SYNC_ERROR):
        return "pfa sync retry --dry-run"
    return "pfa list"
