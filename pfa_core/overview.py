"""Where one stands: sessions, what waits, how old the baseline is, runs, the audit trail."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from pfa_core.errors import InvalidRequest, NotFound
from pfa_core.guard import enter, holds, require
from pfa_core.masking import Mask, mask_for
from pfa_core.model.audit import ACTIONS, LogEntry, LogFilter
from pfa_core.model.delta import three_way
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.model.run import Outcome, Run
from pfa_core.store import audit, audit_chain, mirror, modifications, runs
from pfa_core.store.audit import LAST_ID, Place
from pfa_core.store.database import Database

MAX_ROWS = 100_000
STRETCH = 1_000  # entries that are followed at once


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


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run and what became of the records that need a person's eye; where `masked`, numbers are
    hidden in the messages, since they may be money."""

    run: Run
    outcomes: list[Outcome]
    masked: bool = False


def status(db: Database, principal: Principal) -> StatusReport:
    """Sessions, drafts, conflicts, what waits to be pushed, age of the baseline, last runs, and the
    next command to type."""

    def work(conn: Connection[Any]) -> StatusReport:
        member = enter(conn, principal, Operation.STATUS)
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
            drafts=_records(sessions, "draft"),
            committed=_records(sessions, "committed") + _records(sessions, "syncing") + retrying,
            conflicts=_records(sessions, "conflict"),
            sync_errors=_records(sessions, "sync_error") - retrying,
            overtaken=overtaken.total(),
            runs=runs.runs(conn, code, 5),
            next_command=_next_command(count, sessions, retrying),
        )

    return db.read(work)


def list_runs(db: Database, principal: Principal, *, limit: int = 20) -> list[Run]:
    """The organization's runs, the latest first."""
    _require_limit(limit)

    def work(conn: Connection[Any]) -> list[Run]:
        enter(conn, principal, Operation.LIST_RUNS)
        return runs.runs(conn, principal.organization_id, limit)

    return db.read(work)


def show_run(db: Database, principal: Principal, run_id: str) -> RunDetail:
    """A run and its per-record outcomes.

    Raises:
        NotFound: The organization has no such run.
    """

    def work(conn: Connection[Any]) -> RunDetail:
        mask = mask_for(principal, enter(conn, principal, Operation.SHOW_RUN))
        run = None
        with suppress(ValueError):
            run = runs.run(conn, principal.organization_id, str(UUID(run_id.strip())))
        if run is None:
            raise NotFound(f"there is no run {run_id!r}", hint="type: pfa sync runs")
        outcomes = runs.outcomes(conn, principal.organization_id, run.run_id)
        return RunDetail(run, [mask.outcome(item) for item in outcomes], mask.hides)

    return db.read(work)


def list_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    pfa_id: str | None = None,
    session_id: str | None = None,
    limit: int = 100,
) -> list[LogEntry]:
    """The audit trail, the newest entry first.

    Members see what concerns them: their own entries, and everybody's when they manage users.

    Args:
        pfa_id, session_id: In place of those of the filters.

    Raises:
        NotFound: There is no such record, nor any entry of it.
        PermissionDenied: The entries of somebody else were asked for, and the principal manages no users.
    """
    _require_limit(limit)
    filters = filters or LogFilter()
    wanted = _checked(
        replace(
            filters,
            pfa_id=pfa_id or filters.pfa_id,
            session_id=session_id or filters.session_id,
        )
    )

    def work(conn: Connection[Any]) -> list[LogEntry]:
        visible, mask = _visible(conn, principal, wanted, Operation.LIST_LOG)
        found = audit.entries(conn, principal.organization_id, visible, limit=limit)
        if not found and wanted.pfa_id:
            _require_record(conn, principal.organization_id, wanted.pfa_id)
        return [mask.log_entry(item) for item in found]

    return db.read(work)


def follow_log(
    db: Database,
    principal: Principal,
    filters: LogFilter | None = None,
    *,
    history: int = 10,
    wait: Callable[[], bool],
) -> Iterator[LogEntry]:
    """The audit trail as it grows: the last entries there are, then each new one, none twice, none lost.

    New entries come in the order in which their transactions ended, whatever their ids and times say.

    Args:
        history: How many entries that are there already come first, the oldest of them first.
        wait: Called whenever all is told; False ends it. No transaction is open meanwhile.

    Raises:
        PermissionDenied: As `list_log`.
    """
    wanted = _checked(filters or LogFilter())
    code = principal.organization_id

    def begin(conn: Connection[Any]) -> tuple[list[LogEntry], Place]:
        visible, mask = _visible(conn, principal, wanted, Operation.FOLLOW_LOG)
        place = Place(audit_chain.head(conn, code).number, LAST_ID)
        found = audit.entries(conn, code, visible, limit=history) if history else []
        return [mask.log_entry(item) for item in found], place

    def go_on(conn: Connection[Any]) -> tuple[list[LogEntry], Place, bool]:
        visible, mask = _visible(conn, principal, wanted, Operation.FOLLOW_LOG)
        found = audit.following(conn, code, visible, after=place, limit=STRETCH)
        new = [mask.log_entry(entry) for _, entry in found]
        if len(found) == STRETCH:
            return new, found[-1][0], True
        return new, Place(audit_chain.head(conn, code).number, LAST_ID), False

    entries, place = db.read(begin)
    yield from reversed(entries)
    more = False
    while more or wait():
        entries, place, more = db.read(go_on)
        yield from entries


def _checked(filters: LogFilter) -> LogFilter:
    """The filters, refused where they cannot be, times in UTC where they have no zone."""
    for action in set(filters.actions) - set(ACTIONS):
        near = difflib.get_close_matches(action, ACTIONS, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InvalidRequest(
            f"the trail knows no action {action[:40]!r}{meant}",
            hint=f"actions: {', '.join(ACTIONS)}",
        )
    texts = (filters.pfa_id, filters.user_id)
    session = (filters.session_id,) if filters.session_id else ()
    Filters(id=tuple(text for text in texts if text), session=session)
    since, until = (
        at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
        for at in (filters.since, filters.until)
    )
    run_id = filters.run_id
    if run_id is not None:
        try:
            run_id = str(UUID(run_id.strip()))
        except ValueError:
            raise NotFound(f"there is no run {run_id!r}", hint="type: pfa sync runs") from None
    return replace(filters, since=since, until=until, run_id=run_id)


def _require_record(conn: Connection[Any], code: str, pfa_id: str) -> None:
    """A record that there is not must not pass for one to which nothing happened."""
    if not mirror.rows(conn, code, [pfa_id]):
        raise NotFound(
            f"{pfa_id[:80]!r} is no record of {code}",
            hint="type: pfa list --search TEXT; pfa log --help",
        )


def _visible(
    conn: Connection[Any], principal: Principal, filters: LogFilter, operation: Operation
) -> tuple[LogFilter, Mask]:
    """The filters as far as the principal may look, and what hides money from them."""
    member = enter(conn, principal, operation)
    mask = mask_for(principal, member)
    if holds(principal, member, OTHERS):
        return filters, mask
    if filters.user_id not in (None, principal.user_id):
        require(principal, member, OTHERS, operation)
    return replace(filters, user_id=principal.user_id), mask


def _overtaken(conn: Connection[Any], principal: Principal) -> Counter[tuple[str, str]]:
    moved = modifications.moved(conn, principal)
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
    if _records(sessions, "conflict"):
        return "pfa conflict list"
    drafts = [session for session in sessions if session.state == "draft"]
    moved = [session for session in drafts if session.overtaken]
    if moved:
        return f"pfa diff {shlex.quote(moved[0].session_id)}"
    if drafts:
        return f"pfa commit --session {shlex.quote(drafts[0].session_id)}"
    if _records(sessions, "committed") or _records(sessions, "syncing") or retrying:
        return "pfa sync push"
    if _records(sessions, "sync_error"):
        return "pfa sync retry --dry-run"
    return "pfa list"


def _require_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_ROWS:
        raise InvalidRequest(f"--limit is 1 to {MAX_ROWS:,}, not {limit}")
