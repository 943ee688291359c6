"""Push: committed modifications to PEMS, each exactly once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, islice

from pfa_core.errors import GuardExceeded, GuardExcess
from pfa_core.model.audit import Action, Direction
from pfa_core.model.guards import Guards
from pfa_core.model.ids import ModificationId
from pfa_core.model.principal import Principal
from pfa_core.model.progress import Report
from pfa_core.model.push import RetryPolicy
from pfa_core.model.rights import Operation
from pfa_core.model.run import RunStatus
from pfa_core.operation import Tx, reads, snapshot, writes
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.writer import open_writer
from pfa_core.store import audit, leases, queue, runs, waiting
from pfa_core.store.database import Database
from pfa_core.store.queue import DeadLetter, Scope
from pfa_core.store.waiting import Waiting
from pfa_core.sync.push.delivery import Delivery
from pfa_core.sync.push.ending import finish
from pfa_core.sync.push.guard import judge_push
from pfa_core.sync.push.options import PushOptions, PushPlan, PushResult, RetryResult
from pfa_core.sync.push.pipeline import PushPipeline
from pfa_core.sync.run import leased

SKIPPED = PushResult(run_id=None, status=RunStatus.SKIPPED, message="another push is running")


def push_changes(
    db: Database,
    principal: Principal,
    profile: PemsProfile,
    options: PushOptions | None = None,
    *,
    stop: threading.Event | None = None,
    progress: Report | None = None,
) -> PushResult:
    """Send the committed changes of all users to PEMS, the oldest first.

    The users are those of the organization. Changes of one record are sent strictly one after the
    other. What PEMS applied is folded into the mirror in the transaction that marks it synced. A killed
    push loses nothing and doubles nothing: the next one reads back what was under way.

    Args:
        stop: Set it, from a signal handler for instance, to end early: what is under way is finished
            and settled, the rest given back, the lease released.
        progress: Called with the changes settled so far, and how many there were to send.

    Raises:
        LeaseHeld: Another push is running, or has taken over because the heartbeat of this one failed.
        PemsUnavailable: PEMS is unreachable; no change was confirmed, all wait for the next push.
        PemsRejected: PEMS rejects the credentials.
        GuardExceeded: It would send more than a limit allows; nothing was sent or claimed.
        PermissionDenied: The principal lacks the right `sync`; `override` without the right to.
    """
    options = options or PushOptions()
    scope = Scope(session_id=options.session_id)
    return _push(db, principal, profile, options, scope, stop=stop, progress=progress)


@reads(Operation.PLAN_PUSH)
def plan_push(tx: Tx, *, session_id: str | None = None, limit: int | None = None) -> list[Waiting]:
    """List what a push would send, in order, without contacting PEMS.

    Dead letters are left out.
    """
    found = waiting.in_order(tx.conn, tx.organization_id, session_id, limit)
    return [tx.mask.waiting(item) for item in found]


def stream_plan_push(
    db: Database,
    principal: Principal,
    *,
    session_id: str | None = None,
    limit: int | None = None,
    guards: Guards | None = None,
    override: str | None = None,
) -> PushPlan:
    """List the same in constant memory and from one snapshot, with their number.

    Args:
        guards, override: As of `PushOptions`: the plan says whether a push would be refused.

    Raises:
        PermissionDenied: `override` without the right to where a limit is exceeded; limits of money by a caller
            who may see none.
    """
    options = PushOptions(session_id=session_id, limit=limit, guards=guards, override=override)
    judgement = _judge_plan(db, principal, options)
    refused = judgement if isinstance(judgement, GuardExceeded) else None
    total: list[int] = []
    changes = _stream_plan(db, principal, session_id, limit, total)
    first = list(islice(changes, 1))  # read at once: a refusal precedes any output
    return PushPlan(
        total=total[0],
        changes=chain(first, changes),
        refused=refused,
        overridden=() if isinstance(judgement, GuardExceeded) else tuple(judgement),
    )


@reads(Operation.STREAM_PLAN_PUSH)
def _judge_plan(tx: Tx, options: PushOptions) -> GuardExceeded | list[GuardExcess]:
    """Judge what a push would send."""
    scope = Scope(session_id=options.session_id)
    try:
        return judge_push(tx, scope, options.limit, options.guards, options.override)
    except GuardExceeded as exceeded:
        return exceeded


def _stream_plan(
    db: Database, principal: Principal, session_id: str | None, limit: int | None, total: list[int]
) -> Iterator[Waiting]:
    with snapshot(db, principal, Operation.STREAM_PLAN_PUSH) as tx:
        number, found = waiting.stream_in_order(tx.conn, tx.organization_id, session_id, limit)
        total.append(number)
        yield from map(tx.mask.waiting, found)


def retry(
    db: Database,
    principal: Principal,
    profile: PemsProfile | None,
    run_id: str | None = None,
    options: PushOptions | None = None,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    progress: Report | None = None,
) -> RetryResult:
    """Push dead letters again, of one run or all.

    They are due at once, and their retry schedule begins from its start. What earlier runs tried and is due
    is sent too: the dead letters of a retry that was interrupted.

    Args:
        profile: None only with `dry_run`, which lists the dead letters and changes nothing.

    Raises:
        NotFound: The organization has no such run.
        GuardExceeded: As `push_changes`; the dead letters stay what they are.
        LeaseHeld, PemsUnavailable, PemsRejected: As `push_changes`; the changes stay due.
    """
    options = options or PushOptions()
    letters, due = _requeue(db, principal, run_id, options, dry_run=dry_run)
    if dry_run or not (letters or due) or profile is None:
        return RetryResult(letters, None)
    ids = [*(item.modification_id for item in letters), *due]
    scope = Scope(modification_ids=tuple(ids))
    pushed = _push(db, principal, profile, options, scope, stop=stop, progress=progress)
    return RetryResult(letters, pushed)


@writes(Operation.RETRY)
def _requeue(
    tx: Tx, run_id: str | None, options: PushOptions, *, dry_run: bool = False
) -> tuple[list[DeadLetter], list[ModificationId]]:
    """Let dead letters be due again.

    Returns:
        The dead letters as they were, and what was due before.
    """
    found = None if run_id is None else runs.named(tx.conn, tx.organization_id, run_id).run_id
    letters = queue.dead_letters(tx.conn, tx.organization_id, found)
    at = leases.clock(tx.conn)
    due = queue.due_again(tx.conn, tx.organization_id, found, at)
    queue.requeue(tx.conn, tx.organization_id, [item.modification_id for item in letters], at)
    tx.audit(Action.RETRY, [_retry_entry(tx.new_id(), item) for item in letters], at=at)
    ids = (*(item.modification_id for item in letters), *due)
    if ids:
        # Judged before they are due for good; the run that sends them records why it may.
        scope = Scope(modification_ids=ids)
        judge_push(tx, scope, options.limit, options.guards, options.override)
    return [tx.mask.letter(item) for item in letters], due


def _retry_entry(entry_id: str, letter: DeadLetter) -> audit.Entry:
    return audit.Entry(
        entry_id,
        pfa_id=letter.pfa_id,
        modification_id=letter.modification_id,
        session_id=letter.session_id,
        after=letter.delta,
        reason=letter.sync_error,
    )


def _push(
    db: Database,
    principal: Principal,
    profile: PemsProfile,
    options: PushOptions,
    scope: Scope,
    *,
    stop: threading.Event | None,
    progress: Report | None,
) -> PushResult:
    stop = stop or threading.Event()
    lease = leased(
        db,
        principal,
        Operation.PUSH_CHANGES,
        Direction.PUSH,
        source=profile.url,
        if_locked=options.if_locked,
        stop=stop,
        lifetime=options.lifetime,
    )
    with lease as run:
        if run is None:
            return SKIPPED
        with open_writer(profile, options.concurrency) as writer:
            delivery = Delivery(writer, profile.ownership, profile.idempotency_keys)
            policy = RetryPolicy(profile.retries, timedelta(seconds=profile.retry_delay))
            pipeline = PushPipeline(
                run, delivery, scope, options, policy=policy, stop=stop, progress=progress
            )
            pipeline.log.event("started", direction=Direction.PUSH, source=run.source)
            pipeline.run()
        return finish(pipeline)
