"""The claims of a push.

They are changes taken from the queue, and marks of what is about to be sent. A change that cannot be read is
claimed and refused, so that the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize, require_active
from pfa_core.errors import FaultCode
from pfa_core.exact_json import Unreadable
from pfa_core.model.delta import is_delta
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.push import Result, Sending, Task, Verdict
from pfa_core.model.rights import Operation
from pfa_core.store import leases, queue, runs
from pfa_core.store.queue import Intent, QueueRow, Scope
from pfa_core.sync.active_run import ActiveRun
from pfa_core.sync.push.buffers import BATCH
from pfa_core.sync.push.guard import Batch, PushGuard

RECOVERED = "claimed by a run that was interrupted"


@dataclass(kw_only=True)
class Claims:
    """What one run has claimed and not yet settled.

    Args:
        guard: Judges each batch with what was claimed before.
        without_reading: Returns the sending of a task that PEMS need not be read for, else None.
        limit: How many the run may claim in all, None: no limit.

    `outstanding` are claimed and not settled; `exhausted`: the queue held no more when last asked.
    """

    run: ActiveRun
    scope: Scope
    guard: PushGuard
    without_reading: Callable[[Task], Sending | None]
    limit: int | None = None
    claimed: int = 0
    outstanding: int = 0
    exhausted: bool = False

    @property
    def limit_reached(self) -> bool:
        """Return whether the run may claim nothing more."""
        return self.limit is not None and self.claimed >= self.limit

    def recover(self) -> int:
        """Give back the claims of interrupted runs; return how many they were."""
        code, run = self.run.organization_id, self.run.run_id

        def work(conn: Connection[Any]) -> int:
            rows = queue.recover(conn, code, run)
            at = leases.clock(conn)
            runs.add_outcomes(conn, code, run, [self._recovered(*row) for row in rows], at)
            return len(rows)

        return self.run.transact(work)

    def next_batch(self) -> list[Task | Sending | Result]:
        """Claim the next batch, unless enough is outstanding.

        A result among them is that of a change that cannot be read.

        Raises:
            NotAllowed: The pusher's membership or right was revoked meanwhile.
            GuardExceeded: With the batch the run would be over a limit.
        """
        if self.exhausted or self.outstanding > BATCH:
            return []
        wanted = BATCH if self.limit is None else min(BATCH, self.limit - self.claimed)
        items: list[Task | Sending | Result] = []
        if wanted > 0:
            items, batch = self.run.db.transact(lambda conn: self._claim(conn, wanted))
            self.guard.keep(batch)
        self.exhausted = len(items) < wanted or wanted <= 0
        self.claimed += len(items)
        self.outstanding += len(items)
        return items

    def mark(self, sendings: Sequence[Sending]) -> list[Sending]:
        """Record version and generation before the send.

        Returns the sendings that are still claimed by the run.
        """
        marks = [_intent(item) for item in sendings]
        code, run = self.run.organization_id, self.run.run_id
        still = self.run.transact(lambda conn: queue.mark(conn, code, run, marks))
        found = [item for item in sendings if item.task.modification_id in still]
        self.outstanding -= len(sendings) - len(found)  # another run has claimed the others
        return found

    def settled(self, number: int) -> None:
        """Count settled changes; the next change of their records may be due now."""
        self.outstanding -= number
        self.exhausted = False

    def _claim(
        self, conn: Connection[Any], wanted: int
    ) -> tuple[list[Task | Sending | Result], Batch | None]:
        member = authorize(conn, self.run.principal, Operation.PUSH_CHANGES)
        require_active(conn, self.run.principal, Operation.PUSH_CHANGES)
        code, at = self.run.organization_id, leases.clock(conn)
        rows = queue.due(conn, code, self.scope, at=at, limit=wanted)
        if not rows:
            return [], None
        batch = self.guard.admit(conn, member, rows)
        values = queue.mirror_values(conn, code, [row.modification_id for row in rows])
        items: list[Task | Sending | Result] = []
        for row in rows:
            now = values.get(row.modification_id)
            task = _task(row, now or queue.MirrorValues(None, {}), at)
            wrong = "the mirror has no such record" if now is None else _unreadable(task)
            items.append(_refused(task, wrong) if wrong else self.without_reading(task) or task)
        queue.claim(conn, code, self.run.run_id, map(_intent, items), at)
        return items, batch

    def _recovered(
        self, modification_id: ModificationId, pfa_id: PfaId, attempts: int
    ) -> runs.NewOutcome:
        return runs.NewOutcome(
            outcome_id=str(self.run.db.new_id()),
            number=0,
            pfa_id=pfa_id,
            position="",
            outcome=Verdict.RECOVERED,
            code="",
            message=RECOVERED,
            modification_id=modification_id,
            attempt=attempts,
        )


def _task(row: QueueRow, mirror: queue.MirrorValues, at: datetime) -> Task:
    return Task(
        modification_id=row.modification_id,
        pfa_id=row.pfa_id,
        user_id=row.user_id,
        session_id=row.session_id,
        delta=row.delta,
        base=row.base,
        now=mirror.values,
        version=row.version,
        generation=row.generation,
        sent_version=row.sent_version,
        sent_fields=None if row.sent_fields is None else tuple(row.sent_fields),
        revision=mirror.revision,
        attempt=row.attempts + 1,
        failures=row.failures,
        first_attempt_at=row.first_attempt_at or at,
        reason=row.change_reason or "",
    )


def _unreadable(task: Task) -> str:
    """Return what of a change is not what an operation writes, else empty."""
    if not is_delta(task.delta):
        return "its delta does not hold values of editable fields"
    for name, values in (("base", task.base), ("record in the mirror", task.now)):
        if (
            not isinstance(values, dict)
            or isinstance(values, Unreadable)
            or any(isinstance(value, dict | list) for value in values.values())
        ):
            return f"its {name} does not hold values of editable fields"
    return ""


def _refused(task: Task, reason: str) -> Result:
    """Make a dead letter of a change that is not sent, without its values."""
    return Result(
        task=replace(task, delta={}, base={}, now={}),
        verdict=Verdict.REJECTED,
        delta={},
        code=FaultCode.INVALID_TYPE,
        message=f"the change cannot be sent: {reason}",
        in_doubt=task.sent_version,
    )


def _intent(item: Task | Sending | Result) -> Intent:
    """Return what is about to be sent; a send in doubt stays so."""
    if isinstance(item, Result):
        item = item.task
    if isinstance(item, Sending):
        task, version, names = item.task, item.version, tuple(item.changes)
    else:
        task, version, names = item, item.sent_version, item.sent_fields
    return Intent(task.modification_id, version, names, task.generation)
