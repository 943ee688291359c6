"""The beginning and the end of a run of pull or push."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize, require_active
from pfa_core.errors import GuardExceeded, PfaError
from pfa_core.masking import Mask, mask_for
from pfa_core.model.audit import Action, Direction
from pfa_core.model.ids import RunId
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import IfLocked, RunKind, RunStatus
from pfa_core.store import leases, runs
from pfa_core.store.database import Database
from pfa_core.store.leases import Holder
from pfa_core.sync.active_run import ActiveRun
from pfa_core.sync.lease import LIFETIME, Lease, heartbeat
from pfa_core.sync.run_log import run_log

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between two attempts to take the lease


def begin_dry_run(
    db: Database,
    principal: Principal,
    operation: Operation,
    direction: Direction,
    *,
    source: str,
    kind: RunKind = RunKind.FULL,
) -> ActiveRun:
    """Begin a run without lease and history row: its transactions are rolled back.

    Raises:
        Forbidden, PermissionDenied, NotFound: As `authorize`.
    """
    spec = _Spec(
        principal=principal, operation=operation, direction=direction, source=source, kind=kind
    )

    def begin(conn: Connection[Any]) -> ActiveRun:
        mask = mask_for(principal, authorize(conn, principal, operation))
        return _active_run(conn, db, spec, mask, lease=None)

    return db.read(begin, latest=True)


@contextmanager
def leased(
    db: Database,
    principal: Principal,
    operation: Operation,
    direction: Direction,
    *,
    source: str,
    kind: RunKind = RunKind.FULL,
    since: datetime | None = None,
    if_locked: IfLocked = IfLocked.FAIL,
    stop: threading.Event | None = None,
    lifetime: timedelta = LIFETIME,
    kept: str = "",
) -> Iterator[ActiveRun | None]:
    """Open a run that is the only one of its organization and direction.

    None where another run holds the lease and `if_locked` says SKIP, or `stop` was set while
    waiting for it. A run that leaves with an error is recorded as failed, one that an interrupt ended as
    cancelled; the lease is released in any case, and expires when the process is killed.

    Args:
        kept: What a cancelled run kept, for the note of the interrupt.

    Raises:
        LeaseHeld: Another run is running.
        Forbidden, PermissionDenied, NotFound: As `authorize`.
    """
    spec = _Spec(
        principal=principal,
        operation=operation,
        direction=direction,
        source=source,
        kind=kind,
        since=since,
    )
    lease = Lease(
        organization_id=principal.organization_id,
        direction=direction,
        owner_id=RunId(str(db.new_id())),
        user_id=principal.user_id,
        lifetime=lifetime,
    )
    run = _begin_when_free(db, spec, lease, if_locked, stop)
    if run is None:
        yield None
        return
    with heartbeat(lease, db, run.transact_on):
        try:
            yield run
        except BaseException as error:
            _record_failure(run, error, kept)
            raise
        finally:
            lease.release(run.transact)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    """What a run is about, before it begins."""

    principal: Principal
    operation: Operation
    direction: Direction
    source: str
    kind: RunKind
    since: datetime | None = None


def _begin_when_free(
    db: Database, spec: _Spec, lease: Lease, if_locked: IfLocked, stop: threading.Event | None
) -> ActiveRun | None:
    delay = FIRST_WAIT
    while True:
        begun = db.transact(lambda conn: _begin(conn, db, spec, lease))
        if isinstance(begun, ActiveRun):
            return begun
        if if_locked is IfLocked.FAIL:
            raise lease.held_by(begun)
        if if_locked is IfLocked.SKIP or _stopped(stop, delay):
            return None
        delay = min(delay * 1.5, LONGEST_WAIT)


def _begin(conn: Connection[Any], db: Database, spec: _Spec, lease: Lease) -> ActiveRun | Holder:
    mask = mask_for(spec.principal, authorize(conn, spec.principal, spec.operation))
    require_active(conn, spec.principal, spec.operation)
    holder = lease.take(conn)
    if holder:
        return holder
    run = _active_run(conn, db, spec, mask, lease)
    _record_start(conn, run)
    return run


def _active_run(
    conn: Connection[Any], db: Database, spec: _Spec, mask: Mask, lease: Lease | None
) -> ActiveRun:
    return ActiveRun(
        db=db,
        principal=spec.principal,
        operation=spec.operation,
        direction=spec.direction,
        run_id=lease.owner_id if lease else RunId(str(db.new_id())),
        source=spec.source,
        kind=spec.kind,
        since=spec.since,
        started_at=leases.clock(conn),
        mask=mask,
        lease=lease,
    )


def _stopped(stop: threading.Event | None, delay: float) -> bool:
    """Wait, and return whether `stop` was set meanwhile."""
    if stop is not None:
        return stop.wait(delay)
    time.sleep(delay)
    return False


def _record_start(conn: Connection[Any], run: ActiveRun) -> None:
    """Write the run's start, and the end of abandoned runs of its direction."""
    code, direction, at = run.organization_id, run.direction, run.started_at
    for dead in runs.mark_abandoned(
        conn, code, direction, run.run_id, at=at, message=runs.ABANDONED
    ):
        run.audit(
            conn, direction.action, at, dead, {"status": RunStatus.FAILED}, reason=runs.ABANDONED
        )
    runs.put(conn, code, run.as_row(RunStatus.RUNNING, {}))
    since = run.since.isoformat() if run.since else None
    started = {"direction": direction, "kind": run.kind, "since": since}
    run.audit(conn, Action.BEGIN, at, run.run_id, started, reason=run.source)


def _record_failure(run: ActiveRun, error: BaseException, kept: str) -> None:
    interrupted = isinstance(error, KeyboardInterrupt)
    status = status_after(error)
    message = message_for_history(error)
    if interrupted and kept:
        message = f"{message}, {kept}"

    def work(conn: Connection[Any]) -> bool:
        found = runs.run(conn, run.organization_id, run.run_id)
        if found is None or found.status is RunStatus.RUNNING:
            run.end(conn, status, found.counts if found else {}, message)
            return True
        return False

    log = run_log(run.run_id, run.organization_id)
    with suppress(PfaError):
        if not run.transact(work):
            return  # it has ended already, in the log too
        if interrupted:
            error.add_note(message)
    log.error("ended", status=status, reason=message)


def status_after(error: BaseException) -> RunStatus:
    """Return the status of a run that this ended before it changed anything."""
    on_purpose = isinstance(error, (KeyboardInterrupt, GuardExceeded))
    return RunStatus.CANCELLED if on_purpose else RunStatus.FAILED


def message_for_history(error: BaseException) -> str:
    """Return what the history says of the error.

    Users without the right to see money read it too.
    """
    if isinstance(error, GuardExceeded):
        return error.unnamed
    if isinstance(error, PfaError):
        return error.message
    return f"unexpected {type(error).__name__}" if isinstance(error, Exception) else "interrupted"
