"""One run at a time per organization and direction: its lease, its heartbeat, its line in the history."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from psycopg import Connection

from pfa_core.authorization import authorize, reauthorize, require_active
from pfa_core.errors import PfaError
from pfa_core.masking import Mask, mask_for
from pfa_core.model.audit import Action, Direction
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.model.run import IfLocked
from pfa_core.store import audit, leases, runs
from pfa_core.store.database import Database
from pfa_core.store.leases import Holder
from pfa_core.sync.lease import LIFETIME, _elapsed, _held, _stopped, _take

Result = TypeVar("Result")

BEATS = 6  # heartbeats in a lifetime
KILLED = "ended without a word: killed, or its machine went down"


@dataclass
class ActiveRun:
    """A run that holds its lease. `started_at` is the database's time; `mask` hides money in what is
    told of the run, in its result and in its log, not in what is stored."""

    db: Database
    principal: Principal
    operation: Operation
    direction: Direction
    run_id: str
    source: str
    kind: str
    since: datetime | None
    started_at: datetime
    lifetime: timedelta
    mask: Mask
    _heard: float = 0.0
    _taken: threading.Event = field(default_factory=threading.Event)

    @property
    def organization_id(self) -> str:
        """Whose run it is."""
        return self.principal.organization_id

    @property
    def lost(self) -> bool:
        """Whether somebody else may be at work by now: nothing may be sent any more."""
        late = _elapsed() - self._heard > self.lifetime.total_seconds()
        return late or self._taken.is_set()

    def transact(
        self,
        work: Callable[[Connection[Any]], Result],
        *,
        dry_run: bool = False,
        db: Database | None = None,
    ) -> Result:
        """A transaction of the run; on its own handle unless another is given."""
        return (db or self.db).transact(lambda conn: self._resumed(conn, work), dry_run=dry_run)

    def read(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """What `work` reads, for the run."""
        return self.db.read(lambda conn: self._resumed(conn, work))

    def _resumed(self, conn: Connection[Any], work: Callable[[Connection[Any]], Result]) -> Result:
        reauthorize(conn, self.principal, self.operation)
        return work(conn)

    def as_row(
        self,
        status: str,
        counts: Mapping[str, int],
        *,
        at: datetime | None = None,
        message: str | None = None,
    ) -> runs.Run:
        """The run's line in the history, running or, with `at`, ended."""
        return runs.Run(
            self.run_id,
            self.direction,
            self.source,
            status,
            self.principal.user_id,
            self.started_at,
            at,
            counts,
            message,
            self.kind,
            self.since,
        )

    def end(
        self, conn: Connection[Any], status: str, counts: Mapping[str, int], message: str | None
    ) -> None:
        """Write the run's end into the history and the audit trail."""
        at = leases.clock(conn)
        runs.put(conn, self.organization_id, self.as_row(status, counts, at=at, message=message))
        ended = {"status": status, **counts}
        self.trail(conn, self.direction.action, at, self.run_id, ended, message or self.source)

    def trail(
        self,
        conn: Connection[Any],
        action: Action,
        at: datetime,
        run_id: str,
        after: Mapping[str, Any],
        reason: str | None = None,
    ) -> None:
        """Write what became of a run into the audit trail."""
        entry = audit.Entry(str(self.db.new_id()), run_id=run_id, after=dict(after), reason=reason)
        audit.write(conn, self.organization_id, self.principal.user_id, action, at, [entry])

    def renew(self, db: Database) -> bool:
        """Hold the lease for another lifetime; False when it is somebody else's."""
        asked = _elapsed()
        code, name, owner = self.organization_id, self.direction, self.run_id
        held = self.transact(
            lambda conn: leases.beat(conn, code, name, owner, self.lifetime), db=db
        )
        if held:
            self._heard = asked
        else:
            self._taken.set()
        return held


def begin_dry_run(
    db: Database,
    principal: Principal,
    operation: Operation,
    direction: Direction,
    *,
    source: str,
    kind: str = "full",
) -> ActiveRun:
    """A run that takes no lease and leaves no line: its transactions are rolled back.

    Raises:
        Forbidden, PermissionDenied, NotFound: As `enter`.
    """

    def begin(conn: Connection[Any]) -> ActiveRun:
        mask = mask_for(principal, authorize(conn, principal, operation))
        run_id, at = str(db.new_id()), leases.clock(conn)
        forever = timedelta.max
        return ActiveRun(
            db, principal, operation, direction, run_id, source, kind, None, at, forever, mask
        )

    return db.read(begin)


@contextmanager
def leased(
    db: Database,
    principal: Principal,
    operation: Operation,
    direction: Direction,
    *,
    source: str,
    kind: str = "full",
    since: datetime | None = None,
    if_locked: IfLocked = IfLocked.FAIL,
    stop: threading.Event | None = None,
    lifetime: timedelta = LIFETIME,
) -> Iterator[ActiveRun | None]:
    """A run from beginning to end, alone in its organization and direction.

    None where another run holds the lease and that was to be skipped, or `stop` was set while
    waiting for it. A run that leaves with an error is recorded as failed; the lease is given up
    whatever happens, and expires by itself when the process is killed.

    Raises:
        LeaseHeld: Another run is at work.
        Forbidden, PermissionDenied, NotFound: As `enter`.
    """
    run_id = str(db.new_id())

    def begin(conn: Connection[Any]) -> ActiveRun | Holder:
        mask = mask_for(principal, authorize(conn, principal, operation))
        require_active(conn, principal, operation)
        held = _take(conn, principal, direction, run_id, lifetime)
        if held:
            return held
        at = leases.clock(conn)
        running = ActiveRun(
            db,
            principal,
            operation,
            direction,
            run_id,
            source,
            kind,
            since,
            at,
            lifetime,
            mask,
            asked,
        )
        _record_start(conn, running, at)
        return running

    delay = 0.1
    while True:
        asked = _elapsed()
        begun = db.transact(begin)
        if isinstance(begun, ActiveRun):
            break
        if if_locked is IfLocked.FAIL:
            raise _held(begun, principal.organization_id, direction)
        if if_locked is IfLocked.SKIP or _stopped(stop, delay):
            yield None
            return
        delay = min(delay * 1.5, 2.0)
    with _heartbeat(begun):
        try:
            yield begun
        except BaseException as error:
            _record_failure(begun, error)
            raise
        finally:
            _give_up(begun)


@contextmanager
def _heartbeat(running: ActiveRun) -> Iterator[None]:
    """Keep the lease from a thread and a connection of its own: the run itself may be busy."""
    done = threading.Event()

    def beat() -> None:
        with running.db.beside() as own:
            while not done.wait(running.lifetime.total_seconds() / BEATS) and not running.lost:
                with suppress(PfaError):  # not reached this time: `lost` tells when it is too late
                    running.renew(own)

    thread = threading.Thread(target=beat, name="pfa-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)


def _record_start(conn: Connection[Any], running: ActiveRun, at: datetime) -> None:
    """The run's first line in history and trail, and the last one of those that were killed."""
    code, direction, run_id = running.organization_id, running.direction, running.run_id
    for dead in runs.mark_abandoned(conn, code, direction, run_id, at=at, message=KILLED):
        running.trail(conn, direction.action, at, dead, {"status": "failed"}, KILLED)
    runs.put(conn, code, running.as_row("running", {}))
    since = running.since.isoformat() if running.since else None
    started = {"direction": direction, "kind": running.kind, "since": since}
    running.trail(conn, Action.BEGIN, at, run_id, started, running.source)


def _record_failure(running: ActiveRun, error: BaseException) -> None:
    told = error.message if isinstance(error, PfaError) else f"unexpected {type(error).__name__}"
    message = told if isinstance(error, Exception) else "interrupted"

    def work(conn: Connection[Any]) -> None:
        found = runs.run(conn, running.organization_id, running.run_id)
        if found is None or found.status == "running":
            running.end(conn, "failed", found.counts if found else {}, message)

    with suppress(PfaError):
        running.transact(work)


def _give_up(running: ActiveRun) -> None:
    code, name, owner = running.organization_id, running.direction, running.run_id
    for _ in range(2):  # whether a commit that broke went through is not known; twice is no harm
        with suppress(PfaError):
            running.transact(lambda conn: leases.release(conn, code, name, owner))
            return  # otherwise it expires
