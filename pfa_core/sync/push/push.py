"""Push: committed modifications to PEMS, each exactly once, conflicts set aside field by field."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import (
    LeaseHeld,
    NotFound,
    PemsRejected,
    PemsUnavailable,
    PfaError,
)
from pfa_core.masking import mask_for
from pfa_core.model.audit import Action, Direction
from pfa_core.model.exchange import Failure
from pfa_core.model.principal import Principal
from pfa_core.model.push import RetryPolicy
from pfa_core.model.rights import Operation
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.writer import open_writer
from pfa_core.store import audit, leases, queue, runs
from pfa_core.store.database import Database
from pfa_core.store.queue import DeadLetter, Scope, Waiting
from pfa_core.sync.push.delivery import Delivery
from pfa_core.sync.push.options import PushOptions, PushResult, RetryResult
from pfa_core.sync.push.pipeline import Limits, Pushing
from pfa_core.sync.push.tally import Tally
from pfa_core.sync.rate_limiter import RateLimiter
from pfa_core.sync.run import ActiveRun, leased
from pfa_core.sync.run_log import run_log

SHOWN_FAULTS = 20


def push_commitments(
    db: Database,
    principal: Principal,
    profile: PemsProfile,
    options: PushOptions | None = None,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> PushResult:
    """Send what is committed to PEMS, all users' of the organization, the oldest commitment first.

    Commitments of one record go strictly one after the other. What PEMS has taken is folded into the
    mirror in the transaction that calls it synced. A killed push loses nothing and doubles nothing:
    the next one reads back what was under way.

    Args:
        stop: Set it, from a signal handler say, to end early: what is in flight is finished and
            settled, the rest given back, the lease given up.
        progress: Called with the number of commitments settled so far.

    Raises:
        LeaseHeld: Another push is at work, or has taken over because this one was not heard of.
        PemsUnavailable: PEMS is away; nothing was sent, everything waits for the next push.
        PemsRejected: PEMS refuses the credentials.
        PermissionDenied: The principal lacks the right `sync`.
    """
    options = options or PushOptions()
    scope = Scope(session_id=options.session_id)
    return _push(db, principal, profile, options, scope, stop or threading.Event(), progress)


def plan_push(
    db: Database, principal: Principal, *, session_id: str | None = None, limit: int | None = None
) -> list[Waiting]:
    """What a push would send, in order, without a word to PEMS; dead letters are left out."""

    def work(conn: Connection[Any]) -> list[Waiting]:
        mask = mask_for(principal, authorize(conn, principal, Operation.PLAN_PUSH))
        found = queue.waiting(conn, principal.organization_id, session_id, limit)
        return [mask.waiting(item) for item in found]

    return db.read(work)


def retry(
    db: Database,
    principal: Principal,
    profile: PemsProfile | None,
    run_id: str | None = None,
    options: PushOptions | None = None,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> RetryResult:
    """Try dead letters again, of one run or all: due at once, the ladder from its first rung.

    Args:
        profile: None only with `dry_run`, which tells the dead letters and changes nothing.

    Raises:
        NotFound: The organization has no such run.
        LeaseHeld, PemsUnavailable, PemsRejected: As `push`; the letters stay due.
    """
    options = options or PushOptions()

    def requeue(conn: Connection[Any]) -> list[DeadLetter]:
        mask = mask_for(principal, authorize(conn, principal, Operation.RETRY))
        code = principal.organization_id
        letters = queue.dead_letters(conn, code, _run_id(conn, code, run_id))
        at = leases.clock(conn)
        queue.requeue(conn, code, [item.modification_id for item in letters], at)
        entries = [
            audit.Entry(
                str(db.new_id()),
                item.pfa_id,
                item.modification_id,
                item.session_id,
                after=item.delta,
                reason=item.sync_error,
            )
            for item in letters
        ]
        audit.write(conn, code, principal.user_id, Action.RETRY, at, entries)
        return [mask.letter(item) for item in letters]

    letters = db.transact(requeue, dry_run=dry_run)
    if dry_run or not letters or profile is None:
        return RetryResult(letters, None)
    scope = Scope(modification_ids=tuple(item.modification_id for item in letters))
    stop = stop or threading.Event()
    return RetryResult(letters, _push(db, principal, profile, options, scope, stop, progress))


def _push(
    db: Database,
    principal: Principal,
    profile: PemsProfile,
    options: PushOptions,
    scope: Scope,
    stop: threading.Event,
    progress: Callable[[int], None] | None,
) -> PushResult:
    lease = leased(
        db,
        principal,
        Operation.PUSH_COMMITMENTS,
        Direction.PUSH,
        source=profile.url,
        if_locked=options.if_locked,
        stop=stop,
        lifetime=options.lifetime,
    )
    with lease as running:
        if running is None:
            return PushResult(None, "skipped", message="another push is at work")
        with open_writer(profile, options.concurrency) as writer:
            work = Pushing(
                running,
                Delivery(writer, profile.ownership, profile.idempotency_keys),
                scope,
                Limits(options.concurrency, options.limit, options.deadline),
                _policy(profile),
                RateLimiter(options.rate),
                stop,
                run_log(running.run_id, running.organization_id),
                progress,
            )
            work.log.event("started", direction="push", source=running.source)
            work.run()
        return _finish(running, work)


def _policy(profile: PemsProfile) -> RetryPolicy:
    return RetryPolicy(profile.retries, timedelta(seconds=profile.retry_delay))


def _finish(running: ActiveRun, work: Pushing) -> PushResult:
    """Write the end into the history, and tell it: as a result, or as the error it ended with."""
    error, code = _error(work), running.organization_id
    counts = work.tally.counts()
    interrupted = work.stop.is_set()
    waiting, blocked = running.read(lambda conn: queue.left(conn, code, work.scope))
    late = work.late and (waiting > blocked or counts["retrying"] > 0)
    status = _status(counts, error, unfinished=interrupted or late)
    ended = "told to stop" if interrupted else "the deadline passed" if late else ""
    message = error.message if error else ended

    def end(conn: Connection[Any]) -> None:
        running.end(conn, status, counts, message or None)

    running.transact(end)
    work.log.event("ended", status=status, **counts)
    if error:
        raise error
    return PushResult(
        running.run_id,
        status,
        **counts,
        waiting=waiting,
        blocked=blocked,
        interrupted=interrupted,
        message=message,
        problems=tuple(work.problems()),
        masked=running.mask.hides,
    )


def _status(counts: Mapping[str, int], error: PfaError | None, *, unfinished: bool) -> str:
    if error and not counts["synced"]:
        return "failed"
    unfinished = unfinished or counts["total"] > counts["synced"]
    return "partial" if error or unfinished else "completed"


def _error(work: Pushing) -> PfaError | None:
    """What ended the run as a whole, None when only single records were in trouble."""
    tally = work.tally
    counts = tally.counts()
    if work.running.lost:
        return LeaseHeld(
            "the lease was lost: this process was not heard of for too long; what was not settled"
            " waits for the next push",
            details=work.problems()[:SHOWN_FAULTS],
        )
    if work.denied:
        return work.denied
    if work.refused:
        return _rejected(work.running.mask.text(work.refused.message), tally)
    away = work.outage or _all_in_trouble(tally)
    if away and not counts["synced"]:
        return PemsUnavailable(
            f"PEMS is away ({work.running.mask.text(away.message)}); nothing came through, everything"
            " waits for the next push",
            hint="type: pfa doctor",
            details=work.problems()[:SHOWN_FAULTS],
        )
    return None


def _rejected(reason: str, tally: Tally) -> PemsRejected:
    return PemsRejected(
        f"PEMS does not let us in ({reason}); {tally.synced:,} commitments were sent before,"
        " the others wait for the next push",
        hint="see PFA_PEMS_USERNAME and PFA_PEMS_PASSWORD_FILE, then type: pfa doctor",
    )


def _all_in_trouble(tally: Tally) -> Failure | None:
    """The trouble of a run in which nothing came through but troubles that may pass."""
    failures = [item.failure for item in tally.others.values() if item.verdict == "retrying"]
    if failures and len(failures) == len(tally.others) and not tally.synced:
        return failures[0]
    return None


def _run_id(conn: Connection[Any], organization_id: str, run_id: str | None) -> str | None:
    if run_id is None:
        return None
    with suppress(ValueError):
        found = runs.run(conn, organization_id, str(UUID(run_id.strip())))
        if found:
            return found.run_id
    raise NotFound(f"there is no run {run_id!r}", hint="type: pfa sync runs")
