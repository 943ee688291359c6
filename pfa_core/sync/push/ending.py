"""The end of a push: status, reason and message, or the error that ended it."""

from __future__ import annotations

from collections.abc import Mapping

from pfa_core.errors import LeaseHeld, PemsRejected, PemsUnavailable, PfaError
from pfa_core.model.exchange import Failure
from pfa_core.model.push import StopReason
from pfa_core.model.run import RunStatus
from pfa_core.store import queue
from pfa_core.sync.push.options import PushResult
from pfa_core.sync.push.outage import failure_of_all
from pfa_core.sync.push.pipeline import PushPipeline
from pfa_core.sync.run import message_for_history, status_after

MAX_DETAILS = 20
_MESSAGES = {
    StopReason.REQUESTED: "stopped on request",
    StopReason.DEADLINE: "the deadline passed",
}


def finish(pipeline: PushPipeline) -> PushResult:
    """Write the end of the run into the history.

    Returns the end as a result, or raises the error that ended the run.

    Raises:
        LeaseHeld: The lease was lost.
        Forbidden, PermissionDenied: The pusher's membership or right was revoked meanwhile.
        GuardExceeded: With what was committed meanwhile the run would be over a limit.
        PemsRejected: PEMS rejected the credentials.
        PemsUnavailable: PEMS applied nothing.
    """
    run, counts = pipeline.active_run, pipeline.tally.counts()
    tried = pipeline.tally.retrying()
    waiting, blocked = run.read(
        lambda conn: queue.left(conn, run.organization_id, pipeline.scope, tried)
    )
    due = None
    if not counts["total"]:  # else what was tried and failed is said
        due = run.read(lambda conn: queue.next_due(conn, run.organization_id, pipeline.scope))
    left = waiting > blocked or counts["retrying"] > 0
    reason = _reason(pipeline.halt.reason, left=left)
    error = _error(pipeline, reason)
    status = _status(counts, error, reason)
    message = message_for_history(error) if error else _MESSAGES.get(reason, "") if reason else ""
    run.transact(lambda conn: run.end(conn, status, counts, message or None))
    pipeline.log.event("ended", status=status, **counts)
    if error:
        raise error
    return PushResult(
        run_id=run.run_id,
        status=status,
        **counts,
        waiting=waiting,
        blocked=blocked,
        next_attempt_at=due,
        interrupted=pipeline.halt.requested.is_set(),
        stop_reason=reason,
        message=message,
        problems=tuple(pipeline.problems()),
        overridden=tuple(pipeline.guard.overridden),
        masked=run.mask.hides,
    )


def _reason(reason: StopReason | None, *, left: bool) -> StopReason | None:
    """Return the reason why the run stopped.

    A deadline that passed when nothing was left to send does not count.
    """
    return None if reason is StopReason.DEADLINE and not left else reason


def _status(
    counts: Mapping[str, int], error: PfaError | None, reason: StopReason | None
) -> RunStatus:
    if error and not counts["synced"]:
        return status_after(error)
    unfinished = reason is not None or counts["total"] > counts["synced"]
    return RunStatus.PARTIAL if error or unfinished else RunStatus.COMPLETED


def _error(pipeline: PushPipeline, reason: StopReason | None) -> PfaError | None:
    """Return the error that ended the run, None when only single records failed."""
    tally, failure = pipeline.tally, pipeline.outage.failure
    if reason is StopReason.LEASE_LOST:
        return _lease_lost(pipeline)
    if reason in (StopReason.NOT_ALLOWED, StopReason.GUARD_EXCEEDED):
        return pipeline.denied
    if reason is StopReason.PEMS_REJECTED and failure:
        return _rejected(pipeline, failure)
    unavailable = failure or failure_of_all(tally.others.values())
    if unavailable and not tally.synced:
        return _unavailable(pipeline, unavailable)
    return None


def _lease_lost(pipeline: PushPipeline) -> LeaseHeld:
    return LeaseHeld(
        "the lease was lost: no heartbeat of this process for too long; unsettled changes wait for"
        " the next push",
        details=pipeline.problems()[:MAX_DETAILS],
    )


def _rejected(pipeline: PushPipeline, failure: Failure) -> PemsRejected:
    reason = pipeline.active_run.mask.text(failure.message)
    return PemsRejected(
        f"PEMS rejected the credentials: {reason}; {pipeline.tally.synced:,} changes were sent"
        " before, the others wait for the next push",
        hint="see PFA_PEMS_USERNAME and PFA_PEMS_PASSWORD_FILE, then type: pfa doctor",
    )


def _unavailable(pipeline: PushPipeline, failure: Failure) -> PemsUnavailable:
    reason = pipeline.active_run.mask.text(failure.message)
    return PemsUnavailable(
        f"PEMS is unreachable: {reason}; no change was confirmed, all wait for the next push",
        hint="type: pfa doctor",
        details=pipeline.problems()[:MAX_DETAILS],
    )
