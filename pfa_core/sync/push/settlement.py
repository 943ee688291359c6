"""The settlement of results of sends in one transaction.

It writes states, mirror, overlays, conflicts and audit trail.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.model.audit import Action
from pfa_core.model.delta import same
from pfa_core.model.ids import ConflictId, ModificationId, NewId, PfaId, UserId
from pfa_core.model.push import Result, RetryPolicy, Verdict
from pfa_core.store import (
    audit,
    conflicts,
    leases,
    members,
    mirror,
    overlays,
    queue,
    runs,
)
from pfa_core.sync.active_run import ActiveRun

_ACTIONS: dict[Verdict, Action] = {
    Verdict.SYNCED: Action.ACKNOWLEDGE,
    Verdict.REJECTED: Action.REJECT,
    Verdict.CONFLICT: Action.DISPUTE,
    Verdict.RETRYING: Action.POSTPONE,
    Verdict.RELEASED: Action.RELEASE,
}
_FOLDED = (Verdict.SYNCED, Verdict.CONFLICT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settler:
    """The settlement of one run.

    `number` counts its outcomes, `chance` spreads its retries.
    """

    run: ActiveRun
    policy: RetryPolicy
    new_id: NewId
    number: Callable[[], int]
    chance: Callable[[], float] = random.random

    def settle(self, conn: Connection[Any], results: Sequence[Result]) -> list[Result]:
        """Store results; return those that were still claimed by the run, as they ended.

        Locks go member rows → organization row → mirror rows → overlay rows, as everywhere. What
        PEMS applied is folded into the mirror by the transaction that marks it synced.
        """
        code = self.run.organization_id
        members.lock_users(conn, code, sorted({item.task.user_id for item in results}))
        members.lock_mirror(conn, code)
        at = leases.clock(conn)
        judged = [self._judged(item, at) for item in results]
        kept = self._change_states(conn, judged, at)
        self._fold(conn, kept, at)
        self._write_conflicts(conn, kept, at)
        self._write_trail(conn, kept, at)
        return kept

    def _judged(self, result: Result, at: datetime) -> Result:
        """Make a failure final whose retry schedule has ended."""
        task, failure = result.task, result.failure
        if result.verdict is not Verdict.RETRYING or failure is None:
            return result
        failures = task.failures + self.policy.counts(result)
        counted = replace(result, task=replace(task, failures=failures))
        if self.policy.allows(failures, task.first_attempt_at, at):
            return counted
        message = f"given up after {task.attempt} attempts: {result.message}"
        return replace(counted, verdict=Verdict.REJECTED, message=message)

    def _change_states(
        self, conn: Connection[Any], results: Sequence[Result], at: datetime
    ) -> list[Result]:
        code, run = self.run.organization_id, self.run.run_id
        by_verdict: dict[Verdict, list[Result]] = defaultdict(list)
        for item in results:
            by_verdict[item.verdict].append(item)
        kept = queue.acknowledge(conn, code, run, _ids(by_verdict[Verdict.SYNCED]), at)
        failed = [*by_verdict[Verdict.RETRYING], *by_verdict[Verdict.REJECTED]]
        kept |= queue.reject(conn, code, run, [self._rejection(item, at) for item in failed], at)
        disputes = [
            (item.task.modification_id, item.delta, item.rebased)
            for item in by_verdict[Verdict.CONFLICT]
        ]
        kept |= queue.dispute(conn, code, run, disputes)
        returns = [
            (item.task.modification_id, item.in_doubt, item.task.generation)
            for item in by_verdict[Verdict.RELEASED]
        ]
        kept |= queue.hand_back(conn, code, run, returns)
        return [item for item in results if item.task.modification_id in kept]

    def _rejection(self, result: Result, at: datetime) -> queue.Rejection:
        task, failure = result.task, result.failure
        due = None
        if result.verdict is Verdict.RETRYING and failure is not None:
            before = (task.failures if self.policy.counts(result) else task.attempt) - 1
            due = at + self.policy.delay(before, failure.retry_after, self.chance())
        return queue.Rejection(
            modification_id=task.modification_id,
            sent_version=result.in_doubt,
            generation=task.generation,
            failures=task.failures,
            next_attempt_at=due,
            message=f"{result.code}: {result.message}",
        )

    def _fold(self, conn: Connection[Any], results: Sequence[Result], at: datetime) -> None:
        code = self.run.organization_id
        folded = [item for item in results if item.verdict in _FOLDED]
        if not folded:
            return
        left = overlays.clear_overlays(conn, code, _by_user(folded))
        queue.shift_bases(conn, code, [_settled(item) for item in folded])
        mirror.fold(conn, code, self.run.run_id, [_fold(item) for item in folded], at)
        overlays.rebuild_overlays(conn, code, left)

    def _write_conflicts(
        self, conn: Connection[Any], results: Iterable[Result], at: datetime
    ) -> None:
        rows = [
            conflicts.NewConflict(
                conflict_id=ConflictId(str(self.new_id())),
                modification_id=item.task.modification_id,
                pfa_id=item.task.pfa_id,
                user_id=item.task.user_id,
                fields=[
                    {"field": one.field, "base": one.base, "mine": one.mine, "pems": one.pems}
                    for one in item.conflicts
                ],
            )
            for item in results
            if item.verdict is Verdict.CONFLICT
        ]
        conflicts.insert(conn, self.run.organization_id, rows, at)

    def _write_trail(self, conn: Connection[Any], results: Sequence[Result], at: datetime) -> None:
        code, run, user = (
            self.run.organization_id,
            self.run.run_id,
            self.run.principal.user_id,
        )
        runs.add_outcomes(conn, code, run, [self._outcome(item) for item in results], at)
        for verdict, action in _ACTIONS.items():
            entries = [self._entry(item) for item in results if item.verdict is verdict]
            audit.write(conn, code, user, action, at, entries=entries)

    def _outcome(self, result: Result) -> runs.NewOutcome:
        task = result.task
        return runs.NewOutcome(
            outcome_id=str(self.new_id()),
            number=self.number(),
            pfa_id=task.pfa_id,
            position=f"{task.user_id}, session {task.session_id}",
            outcome=result.verdict,
            code=result.code or "",
            message=result.message,
            modification_id=task.modification_id,
            attempt=task.attempt,
        )

    def _entry(self, result: Result) -> audit.Entry:
        task = result.task
        return audit.Entry(
            str(self.new_id()),
            pfa_id=task.pfa_id,
            modification_id=task.modification_id,
            session_id=task.session_id,
            run_id=self.run.run_id,
            before=dict(task.now),
            after=dict(result.accepted),
            reason=result.message or task.reason or None,
        )


def _ids(results: Iterable[Result]) -> list[ModificationId]:
    return [item.task.modification_id for item in results]


def _by_user(results: Iterable[Result]) -> dict[UserId, list[PfaId]]:
    found: dict[UserId, list[PfaId]] = defaultdict(list)
    for item in results:
        found[item.task.user_id].append(item.task.pfa_id)
    return found


def _settled(result: Result) -> dict[str, Any]:
    """Return what PEMS has of a change; of one in dispute, what arrived of it."""
    task = result.task
    delta = dict(result.accepted if result.verdict is Verdict.SYNCED else _arrived(result))
    return {"user_id": task.user_id, "pfa_id": task.pfa_id, "delta": delta}


def _arrived(result: Result) -> dict[str, Any]:
    """Return the values of a send in doubt that PEMS shows."""
    if result.task.sent_version is None or result.reading is None:
        return {}
    shown = result.reading.record
    return {name: value for name, value in result.delta.items() if same(shown.get(name), value)}


def _fold(result: Result) -> dict[str, Any]:
    stamp = {"pemsVersion": result.stamp} if result.stamp else {}
    return {
        "pfa_id": result.task.pfa_id,
        "reading": dict(result.reading.record) if result.reading else None,
        "changes": {**result.changes, **stamp},
        "revision": result.revision,
    }
