"""The loop of a push: claim, mark, send, settle.

The thread of the loop uses the database, the others PEMS. While they wait for answers the next batch is
claimed and the last one settled, so neither side waits for the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from psycopg import Connection

from pfa_core.errors import Fault, GuardExceeded, NotAllowed
from pfa_core.model.progress import Phase, Progress, Report
from pfa_core.model.push import Result, RetryPolicy, Sending, StopReason, Verdict, released
from pfa_core.store import leases, members, mirror, queue, runs
from pfa_core.store.errors import Refused
from pfa_core.store.queue import Scope
from pfa_core.sync.active_run import ActiveRun
from pfa_core.sync.push.buffers import BATCH, MARK_BATCH, MARK_SECONDS, SETTLE_SECONDS, Buffer
from pfa_core.sync.push.claims import Claims
from pfa_core.sync.push.delivery import Delivery, PrepareAgain
from pfa_core.sync.push.guard import PushGuard
from pfa_core.sync.push.halt import Halt
from pfa_core.sync.push.options import PushOptions
from pfa_core.sync.push.outage import OutageDetector, outage_threshold
from pfa_core.sync.push.retry_wait import RetryWait
from pfa_core.sync.push.sender import Answer, Item, Sender
from pfa_core.sync.push.settlement import Settler
from pfa_core.sync.push.tally import Tally
from pfa_core.sync.rate_limiter import RateLimiter
from pfa_core.sync.run_log import RunLog, run_log
from pfa_core.sync.workers import Workers

ANSWER_COALESCE_SECONDS = 0.005  # in which answers collect while the threads have work waiting
ANSWER_TIMEOUT_SECONDS = 0.25


class PushPipeline:
    """One run's work, from its first claim to its last settlement."""

    def __init__(
        self,
        run: ActiveRun,
        delivery: Delivery,
        scope: Scope,
        options: PushOptions,
        *,
        policy: RetryPolicy,
        stop: threading.Event,
        progress: Report | None = None,
    ) -> None:
        self.active_run, self.scope = run, scope
        self.tally = Tally()
        self.log: RunLog = run_log(run.run_id, run.organization_id)
        self.halt = Halt(stop, lambda: run.lost, options.deadline)
        self.outage = OutageDetector(outage_threshold(options.concurrency))
        self.denied: NotAllowed | GuardExceeded | None = None
        self.guard = PushGuard(
            run=run,
            scope=scope,
            limit=options.limit,
            guards=options.guards,
            override=options.override,
        )
        self._progress = progress
        self._expected: int | None = None
        self._low_watermark = 2 * options.concurrency
        self._claims = Claims(
            run=run,
            scope=scope,
            guard=self.guard,
            without_reading=delivery.without_reading,
            limit=options.limit,
        )
        self._unmarked: Buffer[Sending] = Buffer(MARK_BATCH, MARK_SECONDS)
        self._unsettled: Buffer[Result] = Buffer(BATCH, SETTLE_SECONDS)
        self._settler = Settler(
            run=run, policy=policy, new_id=run.db.new_id, number=count(1).__next__
        )
        self._retry_wait = RetryWait(policy.retries)
        sender = Sender(delivery, RateLimiter(options.rate), self.halt, self.log)
        self._workers: Workers[Item, Answer] = Workers(sender, options.concurrency)

    def problems(self) -> list[Fault]:
        """Return why changes are not in PEMS as they were sent, masked."""
        return self.active_run.mask.faults(self.tally.problems())

    def run(self) -> None:
        """Push until nothing is due any more, or until there is a reason to stop.

        Raises:
            GuardExceeded: It would send more than a limit allows; nothing was claimed.
        """
        self._recover()
        self.guard.begin()
        if self._progress:
            self._expect()
        with self._workers.at_work():
            try:
                while self._iterate():
                    pass
            except BaseException:
                self.halt.requested.set()  # the threads end after their current request
                raise
        self.active_run.transact(self._prune)

    def _iterate(self) -> bool:
        """Run one iteration of the loop; return False when there is nothing more to do."""
        self._claim()
        self._mark_and_send()
        self._collect_answers()
        self._settle_when_due()
        if self._claims.outstanding:
            return True
        if self.halt.is_set():
            return False
        if self.denied:
            self.halt.give(StopReason.GUARD_EXCEEDED)
            return False
        return not self._claims.exhausted or self._wait_for_retry()

    def _recover(self) -> None:
        self.tally.recovered = self._claims.recover()
        if self.tally.recovered:
            self.log.event("recovered", records=self.tally.recovered)

    def _expect(self) -> None:
        run, limit = self.active_run, self._claims.limit
        waiting, blocked = run.read(lambda conn: queue.left(conn, run.organization_id, self.scope))
        due = waiting - blocked
        self._expected = due if limit is None else min(due, limit)

    def _claim(self) -> None:
        if self.halt.is_set() or self.denied:
            return
        try:
            items = self._claims.next_batch()
        except NotAllowed as denied:  # what was sent is settled nevertheless
            if not (isinstance(denied, Refused) and self.active_run.has_lost_lease()):
                self.denied = denied
                self.halt.give(StopReason.NOT_ALLOWED)
            return
        except GuardExceeded as exceeded:  # what was claimed is within the limits, and is sent
            self.denied = exceeded
            return
        for item in items:
            if isinstance(item, Result):
                self._unsettled.add([item])
            else:
                self._workers.give(item)
        if items:
            self.log.event("claimed", records=len(items))

    def _mark_and_send(self) -> None:
        below_low_watermark = self._workers.busy < self._low_watermark
        if self.halt.is_set() or not self._unmarked.is_due(now=below_low_watermark):
            return
        for item in self._claims.mark(self._unmarked.take()):
            self._workers.give(item, first=True)

    def _collect_answers(self) -> None:
        if self._workers.busy > self._low_watermark:
            # The threads have enough to do; waking this one for each answer slows them.
            time.sleep(ANSWER_COALESCE_SECONDS)
        for answer in self._workers.answers(ANSWER_TIMEOUT_SECONDS if self._workers.busy else 0.0):
            self._take(answer)
        if self.halt.is_set():
            self._unsettled.add(released(item.task) for item in self._unmarked.take())

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Sending):
            self._unmarked.add([answer])
        elif isinstance(answer, PrepareAgain):
            self._workers.give(answer.task, first=True)
        else:
            self.halt.give(self.outage.observe(answer, any_synced=self.tally.synced > 0))

    def _settle_when_due(self) -> None:
        idle = not self._workers.busy and not self._unmarked
        if idle:
            self.outage.end_streak()
        self._unsettled.add(self.outage.take())
        if self._unsettled.is_due(now=idle):
            self._settle(self._unsettled.take())

    def _settle(self, results: Sequence[Result]) -> None:
        run = self.active_run

        def work(conn: Connection[Any]) -> tuple[list[Result], Tally]:
            settled = self._settler.settle(conn, results)
            tally = self.tally.copy()
            tally.add(settled)
            runs.progress(conn, run.organization_id, run.run_id, tally.counts())
            return settled, tally

        settled, self.tally = run.transact(work)
        self._claims.settled(len(results))
        if any(item.verdict is Verdict.SYNCED for item in settled):
            self._retry_wait.reset()
        self._report(settled)

    def _report(self, settled: Sequence[Result]) -> None:
        for item in settled:
            if item.verdict is not Verdict.SYNCED or item.altered:
                self.log.warning(
                    "altered" if item.altered else item.verdict,
                    record=item.task.pfa_id,
                    modification=item.task.modification_id,
                    attempt=item.task.attempt,
                    code=item.code or "",
                    reason=self.active_run.mask.text(item.message),
                )
        counts = self.tally.counts()
        self.log.event("settled", **counts)
        if self._progress:
            step = Progress(
                phase=Phase.SENDING,
                done=counts["total"],
                total=self._expected,
                rejected=counts["rejected"],
            )
            self._progress(step)

    def _wait_for_retry(self) -> bool:
        """Wait for the next retry when it is due soon; return whether the run continues."""
        if self._claims.limit_reached:
            return False
        code = self.active_run.organization_id
        due, now = self.active_run.read(
            lambda conn: (queue.next_due(conn, code, self.scope), leases.clock(conn))
        )
        seconds = self._retry_wait.seconds(due, now)
        if seconds is None:
            return False
        if seconds > self.halt.seconds_left:  # a wait up to the deadline would send nothing
            self.halt.give(StopReason.DEADLINE)
            return False
        self._retry_wait.begin(seconds)
        self.log.warning("waiting", seconds=round(seconds, 1))
        self.halt.requested.wait(seconds)
        self._claims.exhausted = False
        return True

    def _prune(self, conn: Connection[Any]) -> None:
        members.lock_mirror(conn, self.active_run.organization_id)
        mirror.prune_rollup(conn, self.active_run.organization_id)
