"""A push at work: claims in batches, lets threads send, puts down what is about to be sent, settles.

One thread, this one, speaks to the database; the others only to PEMS. While they wait for answers the
next batch is claimed and the last one settled, so neither side waits for the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize, require_active
from pfa_core.errors import Fault, FaultCode, NotAllowed, PfaError
from pfa_core.model.exchange import FORBIDDEN, Failure, RetryAdvice
from pfa_core.model.push import Result, RetryPolicy, Sending, Task, Verdict
from pfa_core.model.rights import Operation
from pfa_core.store import leases, members, mirror, queue, runs
from pfa_core.store.queue import QueueRow, Scope
from pfa_core.sync.push.delivery import Again, Delivery
from pfa_core.sync.push.settlement import Settler
from pfa_core.sync.push.tally import Tally
from pfa_core.sync.rate_limiter import RateLimiter
from pfa_core.sync.run import ActiveRun
from pfa_core.sync.run_log import RunLog
from pfa_core.sync.workers import Workers

BATCH = 400
MARK_BATCH = 50
MARK_SECONDS = 0.05
GATHERING = 0.005  # seconds in which answers gather while the threads have work waiting
SETTLE_SECONDS = 1.0
PATIENCE = 60.0  # seconds that a run waits for a retry, and in all for retries without a success
BLOCKED_SECONDS = 1.0
OUTAGE = 10  # troubles in a row, twice the threads at least, that mean PEMS is away


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long a run sends."""

    concurrency: int
    limit: int | None
    deadline: timedelta | None


@dataclass
class Pushing:
    """One run's work, from its first claim to its last settlement."""

    running: ActiveRun
    delivery: Delivery
    scope: Scope
    limits: Limits
    policy: RetryPolicy
    pace: RateLimiter
    stop: threading.Event
    log: RunLog
    progress: Callable[[int], None] | None = None
    tally: Tally = field(default_factory=Tally)
    refused: Failure | None = None
    outage: Failure | None = None
    denied: PfaError | None = None

    def __post_init__(self) -> None:
        self._db = self.running.db
        self._began = time.monotonic()
        self._settler = Settler(self.running, self.policy, self._db.new_id, count(1).__next__)
        self._senders: Workers[Task | Sending, Sending | Result | Again] = Workers(
            self._work, self.limits.concurrency
        )
        self._claimed = 0
        self._stock = 0
        self._exhausted = False
        self._waited = 0.0
        self._came_through = False
        self._rounds = 0
        self._too_late = False
        self._settled_at = self._marked_at = time.monotonic()
        self._ready: list[Sending] = []
        self._done: list[Result] = []
        self._streak: list[Result] = []

    def problems(self) -> list[Fault]:
        """Why commitments are not in PEMS yet, as the run's principal may be told."""
        return self.running.mask.faults(self.tally.problems())

    @property
    def halted(self) -> bool:
        """Whether nothing more is to be sent."""
        ended = self.refused is not None or self.outage is not None or self.denied is not None
        return ended or self.late or self.stop.is_set() or self.running.lost

    @property
    def late(self) -> bool:
        """Whether the deadline has passed, or comes before there is anything to do again."""
        return self._too_late or self._left() < 0

    def _left(self) -> float:
        """The seconds until the deadline."""
        deadline = self.limits.deadline
        if deadline is None:
            return float("inf")
        return deadline.total_seconds() - (time.monotonic() - self._began)

    def run(self) -> None:
        """Push until nothing is due any more, or until it is told to stop."""
        self._recover()
        with self._senders.at_work():
            try:
                while self._go_on():
                    pass
            except BaseException:
                self.stop.set()  # the threads end after what they are doing
                raise
        self.running.transact(self._prune)

    def _prune(self, conn: Connection[Any]) -> None:
        members.lock_mirror(conn, self._code)
        mirror.prune_rollup(conn, self._code)

    @property
    def _code(self) -> str:
        return self.running.organization_id

    def _go_on(self) -> bool:
        """One turn of the wheel; False when there is nothing more to do."""
        self._refill()
        self._mark_and_send()
        if self._senders.busy > 2 * self.limits.concurrency:
            # The threads have enough to do; waking for each answer slows them.
            time.sleep(GATHERING)
        for answer in self._senders.answers(self._timeout()):
            self._take(answer)
        if self.halted:
            self._give_ready_back()
        self._settle_when_due()
        if self._stock or not self._exhausted:
            return self._stock > 0 or not self.halted
        return not self.halted and self._wait_for_retries()

    def _timeout(self) -> float:
        """How long to wait for answers: not at all when there is something else to do."""
        return 0.25 if self._senders.busy else 0.0

    # --- claiming ---------------------------------------------------------------------------------

    def _recover(self) -> None:
        code, run = self._code, self.running.run_id

        def work(conn: Connection[Any]) -> list[tuple[str, str, int]]:
            rows = queue.recover(conn, code, run)
            at = leases.clock(conn)
            outcomes = [
                runs.NewOutcome(
                    str(self._db.new_id()),
                    0,
                    pfa_id,
                    "",
                    str(Verdict.RECOVERED),
                    "",
                    "an earlier run was cut off here",
                    key,
                    attempts,
                )
                for key, pfa_id, attempts in rows
            ]
            runs.add_outcomes(conn, code, run, outcomes, at)
            return rows

        rows = self.running.transact(work)
        self.tally.recovered = len(rows)
        if rows:
            self.log.event("recovered", records=len(rows))

    def _refill(self) -> None:
        if self._exhausted or self._stock > BATCH or self.halted:
            return
        wanted = BATCH
        if self.limits.limit is not None:
            wanted = min(wanted, self.limits.limit - self._claimed)
        try:
            items = self._db.transact(lambda conn: self._claim(conn, wanted)) if wanted > 0 else []
        except NotAllowed as denied:  # revoked meanwhile: what is in flight is settled all the same
            self.denied = denied
            return
        self._exhausted = len(items) < wanted or wanted <= 0
        self._claimed += len(items)
        self._stock += len(items)
        for item in items:
            self._senders.give(item)
        if items:
            self.log.event("claimed", records=len(items))

    def _claim(self, conn: Connection[Any], wanted: int) -> list[Task | Sending]:
        authorize(conn, self.running.principal, Operation.PUSH_COMMITMENTS)
        require_active(conn, self.running.principal, Operation.PUSH_COMMITMENTS)
        code, at = self._code, leases.clock(conn)
        rows = queue.due(conn, code, self.scope, at=at, limit=wanted)
        if not rows:
            return []
        values = queue.mirror_values(conn, code, [row.modification_id for row in rows])
        tasks = [_task(row, values[row.modification_id], at) for row in rows]
        items = [self.delivery.direct(task) or task for task in tasks]
        queue.claim(conn, code, self.running.run_id, dict(map(_put_down, items)), at)
        return items

    # --- sending ----------------------------------------------------------------------------------

    def _work(self, item: Task | Sending) -> Sending | Result | Again:
        """In a thread: one step of one commitment, none when the run is to end."""
        task = item if isinstance(item, Task) else item.task
        if not self.halted:
            self.pace.acquire(lambda: self.halted, sends=isinstance(item, Sending))
        if self.halted:
            return _released(task)
        try:
            answer = self._step(item)
        except Exception as error:  # one record must not hold up all others, run after run
            return self._broken(item, error)
        if isinstance(answer, Result):
            self._adjust_pace(answer)
        return answer

    def _step(self, item: Task | Sending) -> Sending | Result | Again:
        if isinstance(item, Task):
            return self.delivery.prepare(item)
        return self.delivery.send(item)

    def _broken(self, item: Task | Sending, error: Exception) -> Result:
        """A bug of ours, at this record: a dead letter that says so."""
        task = item if isinstance(item, Task) else item.task
        name = type(error).__name__
        self.log.error("broken", record=task.pfa_id, error=error)
        in_doubt = item.version if isinstance(item, Sending) else task.sent_version
        message = f"unexpected {name}; nothing more is known of this record"
        return Result(
            task, Verdict.REJECTED, task.delta, FaultCode.INTERNAL, message, in_doubt=in_doubt
        )

    def _adjust_pace(self, result: Result) -> None:
        if result.failure is not None and result.failure.advice is RetryAdvice.SLOW_DOWN:
            self.pace.on_throttle()
        elif result.verdict is Verdict.SYNCED:
            self.pace.on_success()

    def _mark_and_send(self) -> None:
        if not self._ready or self.halted:
            return
        hungry = self._senders.busy < 2 * self.limits.concurrency
        old = time.monotonic() - self._marked_at > MARK_SECONDS
        if not (hungry or old or len(self._ready) >= MARK_BATCH):
            return
        self._marked_at = time.monotonic()
        sendings, self._ready = self._ready, []
        marks = [
            (item.task.modification_id, item.version, item.task.generation) for item in sendings
        ]
        code, run = self._code, self.running.run_id
        still = self.running.transact(lambda conn: queue.mark(conn, code, run, marks))
        for item in sendings:
            if item.task.modification_id in still:
                self._senders.give(item, first=True)
            else:
                self._stock -= 1  # another run has taken it over

    def _give_ready_back(self) -> None:
        self._done += [_released(item.task) for item in self._ready]
        self._ready = []

    # --- settling ---------------------------------------------------------------------------------

    def _take(self, answer: Sending | Result | Again) -> None:
        if isinstance(answer, Sending):
            self._ready.append(answer)
        elif isinstance(answer, Again):
            self._senders.give(answer.task, first=True)
        else:
            self._judge(answer)

    def _judge(self, result: Result) -> None:
        """Tell a record's trouble from PEMS being away: many in a row, and nothing else between."""
        failure = result.failure
        if failure is not None and failure.advice is RetryAdvice.STOP:
            self.refused = failure
            self._done.append(replace(result, counted=False))
        elif failure is not None and self._may_be_about_all(failure):
            self._streak.append(result)
            if len(self._streak) >= max(OUTAGE, 2 * self.limits.concurrency):
                if failure.code == FORBIDDEN:
                    self.refused = failure
                else:
                    self.outage = failure
        else:
            if result.verdict is not Verdict.RELEASED:
                self._came_through = self._came_through or failure is None
                self._end_streak()
            self._done.append(result)

    def _end_streak(self) -> None:
        """Troubles of records count for them; those of PEMS as a whole count for none."""
        if self.outage is None and self.refused is None:
            self._done += [replace(one, counted=self._counts(one)) for one in self._streak]
        else:
            again = Verdict.RETRYING
            self._done += [replace(one, counted=False, verdict=again) for one in self._streak]
        self._streak = []

    def _counts(self, result: Result) -> bool:
        """Whether a trouble is the record's own: PEMS failed at it, or took others meanwhile."""
        return result.code == FaultCode.SERVER_ERROR or self._came_through

    def _may_be_about_all(self, failure: Failure) -> bool:
        """Whether many such troubles in a row tell of PEMS as a whole."""
        forbidden = failure.code == FORBIDDEN and not self.tally.synced
        return failure.advice is RetryAdvice.RETRY or forbidden

    def _settle_when_due(self) -> None:
        idle = not self._senders.busy and not self._ready
        if idle:
            self._end_streak()
        old = time.monotonic() - self._settled_at > SETTLE_SECONDS
        if self._done and (idle or old or len(self._done) >= BATCH):
            self._settle()

    def _settle(self) -> None:
        results, self._done = self._done, []
        code, run = self._code, self.running.run_id

        def work(conn: Connection[Any]) -> tuple[list[Result], Tally]:
            settled = self._settler.settle(conn, results)
            tally = replace(self.tally, others=dict(self.tally.others))
            tally.add(settled)
            runs.progress(conn, code, run, tally.counts())
            return settled, tally

        settled, self.tally = self.running.transact(work)
        self._stock -= len(results)
        self._exhausted = False  # a record's next commitment may be free to go
        self._settled_at = time.monotonic()
        if any(item.verdict is Verdict.SYNCED for item in settled):
            self._waited, self._rounds = 0.0, 0
        self._tell(settled)

    def _tell(self, settled: Iterable[Result]) -> None:
        for item in settled:
            if item.verdict is not Verdict.SYNCED:
                self.log.warning(
                    str(item.verdict),
                    record=item.task.pfa_id,
                    modification=item.task.modification_id,
                    attempt=item.task.attempt,
                    code=item.code,
                    reason=self.running.mask.text(item.message),
                )
        counts = self.tally.counts()
        self.log.event("settled", **counts)
        if self.progress:
            self.progress(counts["total"])

    def _wait_for_retries(self) -> bool:
        """Wait for the next retry when it is not far; whether the run goes on."""
        if self.limits.limit is not None and self._claimed >= self.limits.limit:
            return False
        due, now = self.running.read(
            lambda conn: (queue.next_due(conn, self._code, self.scope), leases.clock(conn))
        )
        if due is None:
            return False
        seconds = (due - now).total_seconds()
        # Due already and yet not claimed: something outside this run's scope goes before it.
        blocked = seconds < -BLOCKED_SECONDS
        if blocked or self._rounds > self.policy.retries or self._waited + seconds > PATIENCE:
            return False
        if seconds > self._left():  # a sleep up to the deadline would send nothing either
            self._too_late = True
            return False
        self._rounds += 1
        seconds = max(seconds, 0.01)
        self.log.warning("waiting", seconds=round(seconds, 1))
        self._waited += seconds
        self.stop.wait(seconds)
        self._exhausted = False
        return True


def _task(row: QueueRow, held: queue.MirrorValues, at: Any) -> Task:
    return Task(
        modification_id=row.modification_id,
        pfa_id=row.pfa_id,
        user_id=row.user_id,
        session_id=row.session_id,
        delta=row.delta,
        base=row.base,
        now=held.values,
        version=row.version,
        generation=row.generation,
        sent_version=row.sent_version,
        revision=held.revision,
        attempt=row.attempts + 1,
        failures=row.failures,
        first_attempt_at=row.first_attempt_at or at,
        reason=row.change_reason or "",
    )


def _put_down(item: Task | Sending) -> tuple[str, str | None]:
    """On which version it is about to be sent; what is in doubt stays so."""
    if isinstance(item, Sending):
        return item.task.modification_id, item.version
    return item.modification_id, item.sent_version


def _released(task: Task) -> Result:
    return Result(task, Verdict.RELEASED, task.delta, in_doubt=task.sent_version)
