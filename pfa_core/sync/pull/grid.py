"""A pull from PEMS: one thread fetches pages, one checks, one stores them."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import FaultCode, InvalidData
from pfa_core.model.audit import Direction
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.principal import Principal
from pfa_core.model.progress import Report
from pfa_core.model.rights import Operation
from pfa_core.model.run import Behind, RunKind
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid_reader import open_reader
from pfa_core.store import digests, members, runs
from pfa_core.store.adapters import EARLIEST, LATEST
from pfa_core.store.database import Database
from pfa_core.sync.pull.ending import Ending, StopReason, finish
from pfa_core.sync.pull.grid_pull import (
    CLOCK_DIFFERENCE,
    GridPull,
    Resumption,
    first_cursor,
    forget_resumption,
    resume,
)
from pfa_core.sync.pull.intake import Intake
from pfa_core.sync.pull.options import SKIPPED, PullOptions, PullResult
from pfa_core.sync.pull.page_fetch import Fetched, PageFetcher
from pfa_core.sync.pull.page_store import PageStore, check_page
from pfa_core.sync.pull.paging import (
    End,
    Failed,
    PageCursor,
    PagingFault,
    Restart,
    Rewind,
    Step,
    Store,
)
from pfa_core.sync.pull.recognition import Known, Recognition
from pfa_core.sync.run import ActiveRun, begin_dry_run, leased
from pfa_core.sync.run_log import run_log
from pfa_core.sync.workers import Workers

MAX_UNSTORED = 1  # pages that wait to be stored beside the one that is
LOOK_SECONDS = 0.1  # between two looks at whether the pull has to stop
GRACE_SECONDS = 0.5  # that a page may still take then

Answer = TypeVar("Answer")
Fetching = Workers[PageCursor, Fetched | Failure]


def pull_pems(
    db: Database,
    principal: Principal,
    profile: PemsProfile,
    options: PullOptions | None = None,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    progress: Report | None = None,
) -> PullResult:
    """Make the mirror agree with PEMS, each page in a transaction of its own.

    An interrupted pull is `partial`: what arrived stays, nothing is marked missing, and the next full
    pull resumes it. A complete full pull marks the records that PEMS no longer has. What a push writes
    meanwhile is not undone. Drafts stay.

    Args:
        options: Full, or only what changed since; what to do while another pull runs.
        stop: Set it to end early: the pages that have arrived are stored.
        progress: Called now and then with the records read so far, and how many PEMS has.

    Raises:
        LeaseHeld: Another pull runs, or has taken over because this one sent no heartbeat.
        PemsUnavailable, PemsRejected, PemsProtocol: PEMS gave not even one page.
        InvalidData: Every record was refused; or the first page would empty fields of so many records
            that it is hardly meant.
        PermissionDenied: The principal lacks the right `refresh_data`.
    """
    options, stop = options or PullOptions(), stop or threading.Event()
    allow = options.allow
    since = _since(db, principal, profile, options)
    kind = _kind(since, options)

    def pull(run: ActiveRun) -> PullResult:
        log = run_log(run.run_id, run.organization_id)
        work = GridPull(
            run=run,
            profile=profile,
            since=since,
            stop=stop,
            log=log,
            dry_run=dry_run,
            allow=allow,
        )
        return _pull(work, progress, restart=options.restart)

    operation, direction = Operation.PULL_PEMS, Direction.PULL
    if dry_run:
        return pull(
            begin_dry_run(db, principal, operation, direction, source=profile.url, kind=kind)
        )
    with leased(
        db,
        principal,
        operation,
        direction,
        source=profile.url,
        kind=kind,
        since=since,
        if_locked=options.if_locked,
        stop=stop,
        lifetime=options.lifetime,
    ) as run:
        return pull(run) if run else SKIPPED


def _since(
    db: Database, principal: Principal, profile: PemsProfile, options: PullOptions
) -> datetime | None:
    """Return from when on changes are asked for; None for a full pull."""
    if options.since is not None or not options.incremental:
        return options.since and min(max(options.since, EARLIEST), LATEST)

    def work(conn: Connection[Any]) -> datetime | None:
        authorize(conn, principal, Operation.PULL_PEMS)
        return runs.last_from_pems(conn, principal.organization_id, profile.url)

    last = db.read(work, latest=True)
    return None if last is None else last - CLOCK_DIFFERENCE


def _kind(since: datetime | None, options: PullOptions) -> RunKind:
    # A pull since a given time leaves out what changed between the last pull and then, so that no
    # incremental pull may start from it.
    if since is None:
        return RunKind.FULL
    return RunKind.INCREMENTAL if options.since is None else RunKind.SINCE


def _recognition(conn: Connection[Any], pull: GridPull) -> Recognition:
    """Read what the organization's records are recognized by.

    A pull of what changed is not large enough to know digests.
    """
    code = pull.organization_id
    authorize(conn, pull.run.principal, Operation.PULL_PEMS)
    known = Known(digests.load(conn, code)) if pull.is_full else Known()
    return Recognition(code, members.only_currency(conn, code), known)


def _pull(pull: GridPull, progress: Report | None, *, restart: bool) -> PullResult:
    intake = Intake(
        pull.organization_id,
        progress,
        pull.run.mask,
        asked_since=pull.asked_since,
    )
    intake.recognition = pull.run.db.read(lambda conn: _recognition(conn, pull), latest=True)
    intake.only_currency = intake.recognition.only_currency
    store = PageStore(pull)
    with open_reader(pull.profile) as reader:
        pull.log.event("started", direction="pull", source=pull.run.source, kind=pull.run.kind)
        fetcher = PageFetcher(pull, reader)
        resumption = resume(pull, restart=restart)
        intake.behind = resumption.behind if resumption else Behind()
        intake.carried = lambda: reader.decode.carried
        try:
            ending = _read(pull, resumption, fetcher, intake, store)
        except InvalidData as refusal:
            if not store.stored:
                raise
            ending = Ending(StopReason.REFUSED, resumption, refusal=refusal)
        return finish(pull, ending, intake, store)


def _read(
    pull: GridPull,
    resumption: Resumption | None,
    fetcher: PageFetcher,
    intake: Intake,
    store: PageStore,
) -> Ending:
    """Fetch, check and store pages until the last one, a failure or a stop."""
    step: Step | Failure | None = None
    with (
        Workers(fetcher.fetch, 1).at_work() as fetching,
        Workers(store.store, 1).at_work() as storing,
    ):
        fetching.give(first_cursor(pull, resumption))
        while fetching.busy:
            fetched = _answer(pull, fetching)
            if fetched is None:
                break
            step = fetched if isinstance(fetched, Failure) else _decide(pull, fetched)
            if isinstance(step, Restart):
                resumption, intake.behind = None, Behind()
            _ask_next(pull, step, fetching)
            if isinstance(step, Store) and isinstance(fetched, Fetched):
                total = fetched.page.total
                # Some installations give the number of the page's rows.
                intake.expected = total if total and total > len(fetched.page.rows) else None
                batch = check_page(intake, step, fetched.asked_at)
                _wait_for(storing, MAX_UNSTORED)
                storing.give(batch)
        _wait_for(storing)
    return _ending(pull, step, resumption)


def _decide(pull: GridPull, fetched: Fetched) -> Step:
    step = fetched.cursor.next(fetched.page)
    offset = fetched.cursor.position.offset
    if isinstance(step, Rewind):
        pull.log.warning("shifted", behind=offset)
    if isinstance(step, Restart):
        pull.log.warning("restarted", behind=fetched.cursor.resumed_at)
        forget_resumption(pull)
    return step


def _ask_next(pull: GridPull, step: Step | Failure, fetching: Fetching) -> None:
    """Let the next page be fetched while this one is checked."""
    if isinstance(step, Store | Rewind | Restart) and not pull.has_to_stop:
        fetching.give(step.cursor)


def _ending(pull: GridPull, step: Step | Failure | None, resumption: Resumption | None) -> Ending:
    match step:
        case End():
            return Ending(StopReason.COMPLETE, resumption)
        case Failure():
            masked = replace(step, message=pull.run.mask.text(step.message))
            return Ending(StopReason.FAILED, resumption, masked)
        case Failed():
            short = step.fault is PagingFault.SHORT
            failure = Failure(FaultCode.PEMS_PROTOCOL, step.message, RetryAdvice.RETRY)
            return Ending(StopReason.SHORT if short else StopReason.FAILED, resumption, failure)
        case _:
            return Ending(StopReason.STOPPED, resumption)


def _answer(pull: GridPull, workers: Workers[Any, Answer]) -> Answer | None:
    """Wait for the one answer that is due.

    None where the pull has to stop before it is there.
    Nothing of a page that is under way is stored, so that its request is left to itself.
    """
    while not pull.has_to_stop:
        for answer in workers.answers(LOOK_SECONDS):
            return answer
    return next(workers.answers(GRACE_SECONDS), None)


def _wait_for(storing: Workers[Any, None], at_most: int = 0) -> None:
    """Wait until at most so many pages are left to store."""
    while storing.busy > at_most:
        for _ in storing.answers(0.5):
            pass
