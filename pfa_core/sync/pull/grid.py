"""A pull from PEMS at work: one thread asks, this one checks, one more stores; page by page."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import (
    Fault,
    FaultCode,
    LeaseHeld,
    PemsProtocol,
    PemsRejected,
    PemsUnavailable,
    PfaError,
)
from pfa_core.files.baseline import RawRecord
from pfa_core.model.baseline import FOREIGN
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.push import RetryPolicy
from pfa_core.model.rights import Operation
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import GridPage
from pfa_core.pems.services.grid_reader import GridReader, open_reader
from pfa_core.store import leases, members, mirror, runs
from pfa_core.store import pull_pages as pages
from pfa_core.store.adapters import plain
from pfa_core.store.mirror import Merged
from pfa_core.store.pull_pages import Page
from pfa_core.sync.pull.intake import Arrival, end_pull
from pfa_core.sync.pull.options import PullOptions, PullResult
from pfa_core.sync.run import ActiveRun
from pfa_core.sync.run_log import RunLog, run_log
from pfa_core.sync.workers import Workers

RESUMABLE = timedelta(hours=6)
OWNERLESS = "is missing: whose record is it?"
LONGEST_WAIT = 60.0  # seconds that a page is waited for, whatever PEMS asks
MOST_SHIFTS = 5
MOST_WAITING = 1  # pages that wait to be stored beside the one that is
# By how much two clocks that were set alike may run apart; errs towards the mirror being newer.
CLOCK_DRIFT = 0.001


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to go on: behind how many rows, and the id of the last of them ("" at the beginning); `again`
    where this was read before."""

    offset: int = 0
    last_id: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A page as it came for a place; `asked_at` is the database's time before it was asked for."""

    place: _Place
    page: GridPage
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class _Batch:
    """The rows of a page that are ready to be stored."""

    page: Page
    rows: Sequence[tuple[str, str]]
    ids: Sequence[str]
    asked_at: datetime


def pull_pages(
    running: ActiveRun,
    profile: PemsProfile,
    options: PullOptions,
    *,
    since: datetime | None,
    stop: threading.Event,
    progress: Callable[[int], None] | None,
    dry_run: bool = False,
) -> PullResult:
    """Pull every page there is, and write the run's end."""
    with open_reader(profile) as reader:
        work = _Pulling(
            running,
            reader,
            profile,
            since,
            stop,
            Arrival(running.organization_id, progress, running.mask),
            run_log(running.run_id, running.organization_id),
            dry_run=dry_run,
        )
        work.log.event("started", direction="pull", source=running.source, kind=running.kind)
        work.run(restart=options.restart)
        return work.finish()


@dataclass
class _Pulling:
    """One run's work. `trouble` is what ended it before the last page."""

    running: ActiveRun
    reader: GridReader
    profile: PemsProfile
    since: datetime | None
    stop: threading.Event
    arrival: Arrival
    log: RunLog
    dry_run: bool
    counts: Merged = field(default_factory=Merged)
    arrived: int = 0
    failure: Failure | None = None
    complete: bool = False
    resumed: str = ""

    def __post_init__(self) -> None:
        self._policy = RetryPolicy(
            self.profile.retries, timedelta(seconds=self.profile.retry_delay)
        )
        self._clock = (self.running.started_at, time.monotonic())
        self._recent: list[set[str]] = []
        self._shifts = 0
        self._exhausted = False
        self._behind = 0
        self._began_at = self.running.started_at

    @property
    def _code(self) -> str:
        return self.running.organization_id

    @property
    def _full(self) -> bool:
        return self.since is None

    def run(self, *, restart: bool) -> None:
        """Fetch, check and store until the last page, a trouble, or being told to stop."""
        place = self._first_place(restart=restart)
        with ExitStack() as stack:
            fetching = stack.enter_context(Workers(self._fetch, 1).at_work())
            storing = stack.enter_context(Workers(self._store, 1).at_work())
            fetching.give(place)
            while fetching.busy:
                for fetched in fetching.answers(0.5):
                    batch = self._next(fetched, fetching)
                    _wait_for(storing, MOST_WAITING)
                    if batch:
                        storing.give(batch)
            _wait_for(storing)

    # --- fetching ---------------------------------------------------------------------------------

    def _first_place(self, *, restart: bool) -> _Place:
        """The beginning, or behind the pages of a full pull that was cut off."""
        if not self._full or self.dry_run:
            return _Place()
        code, run = self._code, self.running.run_id

        def work(conn: Connection[Any]) -> _Place:
            after = self.running.started_at - RESUMABLE
            earlier = runs.cut_off(conn, code, self.running.source, after)
            known = pages.pages(conn, code, earlier[0]) if earlier and not restart else []
            if earlier and known:
                pages.inherit(conn, code, run, earlier[0])
                self.resumed, self._began_at = earlier
                self.running.since = self._began_at
                runs.put(conn, code, self.running.as_row("running", {}))
            pages.drop(conn, code, run)
            if not known:
                return _Place()
            last = known[-1]
            return _Place(last.row_offset + last.row_count, last.last_id)

        place = self.running.transact(work)
        self._behind = place.offset
        if place.offset:
            self.log.event("resumed", run_before=self.resumed, behind=place.offset)
        return place

    def _fetch(self, place: _Place) -> _Fetched | Failure:
        """A page, asked for again while its trouble may pass; the last row of the page before comes
        first, so that rows which shifted meanwhile are noticed."""
        overlap = 1 if place.last_id else 0
        for failures in range(self._policy.retries + 1):
            asked_at = self._database_time()
            answer = self.reader.page(
                place.offset - overlap, self.profile.grid.page_size + overlap, since=self.since
            )
            if isinstance(answer, GridPage):
                return _Fetched(place, answer, asked_at)
            if (
                answer.advice in (RetryAdvice.NONE, RetryAdvice.STOP)
                or failures == self._policy.retries
            ):
                return answer
            wait = self._policy.delay(failures, answer.retry_after, random.random())  # noqa: S311
            seconds = min(wait.total_seconds(), LONGEST_WAIT)
            reason = self.running.mask.text(answer.message)
            self.log.warning("waiting", code=answer.code, reason=reason, seconds=seconds)
            if self.stop.wait(seconds):
                return answer
        raise AssertionError("unreachable")

    def _database_time(self) -> datetime:
        """The database's time, hardly later than it is: it was read before our own clock."""
        at, then = self._clock
        return at + timedelta(seconds=(time.monotonic() - then) * (1 - CLOCK_DRIFT))

    def _next(
        self, fetched: _Fetched | Failure, fetching: Workers[_Place, _Fetched | Failure]
    ) -> _Batch | None:
        """Let the page behind be fetched, and check this one meanwhile; None: nothing to store."""
        if isinstance(fetched, Failure):
            self.failure = replace(fetched, message=self.running.mask.text(fetched.message))
            return None
        rows, place = fetched.page.rows, fetched.place
        if place.last_id:
            if not rows or rows[0].get("pfaId") != place.last_id:
                (self._begin_anew if self._resumes(place) else self._step_back)(place, fetching)
                return None
            rows = rows[1:]
        behind = _Place(place.offset + len(rows), _last_id(rows) or place.last_id)
        if not rows:
            return self._end_of_rows(fetched.page.total, place, fetching)
        if self._is_news(rows):
            self._shifts = 0
        elif not place.again:
            self._step_back(place, fetching)
            return None
        if not self.stop.is_set() and not self.running.lost:
            fetching.give(behind)
        return self._checked(fetched, rows)

    def _end_of_rows(
        self, total: int | None, place: _Place, fetching: Workers[_Place, _Fetched | Failure]
    ) -> None:
        """Only a page without a row is the end, whatever the total says on the way: some installations
        tell that of the page, some cap their pages. A total that is larger was not reached."""
        if total is not None and total > place.offset and self._resumes(place):
            self._begin_anew(place, fetching)
        elif total is not None and total > place.offset:
            reason = f"a page came empty before the total of {total:,} was reached"
            self.failure = Failure(FaultCode.PEMS_PROTOCOL, reason, RetryAdvice.RETRY)
            self._exhausted = True
        else:
            self.complete = True

    def _is_news(self, rows: Sequence[Mapping[str, str]]) -> bool:
        """Whether a page holds any row that those before did not."""
        known = set().union(*self._recent)
        return any(row.get("pfaId", "") not in known for row in rows)

    def _resumes(self, place: _Place) -> bool:
        """Whether this is where an earlier pull was cut off."""
        return self._behind > 0 and place.offset == self._behind

    def _begin_anew(self, _place: _Place, fetching: Workers[_Place, _Fetched | Failure]) -> None:
        """The grid is not as the pull that was cut off saw it: what that saw counts for nothing."""
        self.log.warning("restarted", behind=self._behind)
        self._behind, self._began_at = 0, self.running.started_at
        self.running.since = None
        self.running.transact(lambda conn: pages.drop(conn, self._code))
        fetching.give(_Place())

    def _step_back(self, place: _Place, fetching: Workers[_Place, _Fetched | Failure]) -> None:
        """Rows went or came before this place: begin a page earlier, what is known already is skipped."""
        self._shifts += 1
        if self._shifts > MOST_SHIFTS:
            self.failure = Failure(
                FaultCode.PEMS_PROTOCOL, "the grid kept moving while it was read", RetryAdvice.RETRY
            )
            return
        self.log.warning("shifted", behind=place.offset)
        before = max(0, place.offset - self.profile.grid.page_size)
        fetching.give(_Place(before, again=True))

    def _checked(self, fetched: _Fetched, rows: Sequence[Mapping[str, str]]) -> _Batch:
        place, code = fetched.place, self._code
        known = set().union(*self._recent)
        self.arrival.seen = set()
        accepted: list[tuple[str, str]] = []
        ids: list[str] = []
        for number, row in enumerate(rows, place.offset + 1):
            pfa_id = row.get("pfaId", "")
            if row.get("organization") == code:
                ids.append(pfa_id)
            if pfa_id in known:
                continue
            self.arrived += 1
            if not row.get("organization"):
                place_told = f"PEMS row {number}"
                self.arrival.refuse(Fault(pfa_id, "organization", FOREIGN, OWNERLESS, place_told))
                continue
            taken = self.arrival.take(RawRecord(row, f"PEMS row {number}", textual=True))
            if taken:
                accepted.append(taken)
        self._recent = [*self._recent[-2:], {row.get("pfaId", "") for row in rows}]
        page = Page(place.offset, len(rows), _last_id(rows))
        return _Batch(page, accepted, ids, fetched.asked_at)

    # --- storing ----------------------------------------------------------------------------------

    def _store(self, batch: _Batch) -> None:
        """In a thread: one page, one transaction."""
        counts = self.running.db.transact(
            lambda conn: self._merge(conn, batch), dry_run=self.dry_run
        )
        self.counts = counts
        self.log.event(
            "page",
            offset=batch.page.row_offset,
            rows=batch.page.row_count,
            inserted=counts.inserted,
            updated=counts.updated,
        )

    def _merge(self, conn: Connection[Any], batch: _Batch) -> Merged:
        code, run = self._code, self.running.run_id
        authorize(conn, self.running.principal, Operation.PULL_PEMS)
        members.lock_mirror(conn, code)
        at = leases.clock(conn)
        if mirror.put_new(conn, code, run, batch.rows, at):
            merged = Merged(inserted=len(batch.rows))
        else:
            mirror.copy_incoming(conn, batch.rows)
            merged = mirror.merge(conn, code, run, at, asked_at=batch.asked_at)
        if self._full and not self.dry_run:
            pages.add(conn, code, run, batch.page, [_storable_id(item) for item in batch.ids])
        counts = Merged(
            self.counts.inserted + merged.inserted,
            self.counts.updated + merged.updated,
            self.counts.unchanged + merged.unchanged,
        )
        runs.progress(conn, code, run, plain(counts))
        return counts

    # --- the end ----------------------------------------------------------------------------------

    def finish(self) -> PullResult:
        """Mark what is missing, write the run's end, and tell it: as a result, or as the error."""
        error = self._error()
        if error:
            raise error
        result = self.running.db.transact(self._end, dry_run=self.dry_run)
        self.log.event("ended", status=result.status, **result.counts())
        mask = self.running.mask
        return replace(result, faults=mask.faults(result.faults), masked=mask.hides)

    def _error(self) -> PfaError | None:
        if self.running.lost:
            return LeaseHeld("the lease was lost: this process was not heard of for too long")
        if self.complete or self.arrived or self.stop.is_set() or not self.failure:
            if self.complete and not self._stored:
                self.arrival.require_some(0)
            return None
        return _as_error(self.failure)

    @property
    def _stored(self) -> int:
        return self.counts.inserted + self.counts.updated + self.counts.unchanged

    def _end(self, conn: Connection[Any]) -> PullResult:
        code = self._code
        authorize(conn, self.running.principal, Operation.PULL_PEMS)
        members.lock_mirror(conn, code)
        mirror.prune_rollup(conn, code)
        missing, message = 0, self._message()
        if self.complete and self._full:
            missing, message = self._mark(conn, message)
        if self._exhausted and not self.dry_run:
            pages.drop(conn, code)  # there is nothing to go on with: the next pull begins anew
        status = "completed" if self.complete and not message.startswith(NOTHING) else "partial"
        result = PullResult(
            run_id=self.running.run_id,
            status=status,
            total=self.arrived,
            inserted=self.counts.inserted,
            updated=self.counts.updated,
            unchanged=self.counts.unchanged,
            missing=missing,
            rejected=self.arrival.rejected,
            foreign=self.arrival.foreign,
            faults=self.arrival.faults,
            message=message,
            interrupted=self.stop.is_set() and not self.complete,
        )
        end_pull(conn, self.running, result)
        return result

    def _mark(self, conn: Connection[Any], message: str) -> tuple[int, str]:
        """Mark what PEMS no longer has; not when it answers with nothing at all."""
        code, run = self._code, self.running.run_id
        if self.dry_run:
            known = mirror.count(conn, code) - self.counts.unchanged - self.counts.updated
            return max(0, known), message
        if not self.arrived and not self._behind and mirror.count(conn, code):
            return 0, f"{NOTHING}: nothing was marked missing"
        began, at = self._began_at, leases.clock(conn)
        missing = mirror.mark_missing(conn, code, run, began_at=began, at=at)
        pages.drop(conn, code)
        return missing, message

    def _message(self) -> str:
        if self.complete:
            behind = f"went on behind row {self._behind:,} of run {self.resumed}"
            return behind if self._behind else ""
        if self.failure:
            return f"cut off behind {self.arrived:,} records: {self.failure.message}"
        return f"told to stop behind {self.arrived:,} records"


NOTHING = "PEMS answered with no records at all"


def _last_id(rows: Sequence[Mapping[str, str]]) -> str:
    return rows[-1].get("pfaId", "") if rows else ""


def _storable_id(pfa_id: str) -> str:
    return pfa_id.replace("\0", "").encode("utf-8", "replace").decode()


def _wait_for(storing: Workers[_Batch, None], at_most: int = 0) -> None:
    while storing.busy > at_most:
        for _ in storing.answers(0.5):
            pass


def _as_error(failure: Failure) -> PfaError:
    """A pull that brought nothing, as the error that tells what to do."""
    if failure.advice is RetryAdvice.STOP:
        return PemsRejected(
            f"PEMS does not let us in ({failure.message})",
            hint="see PFA_PEMS_USERNAME and PFA_PEMS_PASSWORD_FILE, then type: pfa doctor",
        )
    if failure.code == FaultCode.PEMS_PROTOCOL:
        return PemsProtocol(f"PEMS answers what is no grid: {failure.message}")
    if failure.advice is RetryAdvice.NONE or failure.code == FaultCode.PEMS_REJECTED:
        return PemsRejected(f"PEMS refuses to be read: {failure.message}", hint="type: pfa doctor")
    return PemsUnavailable(f"PEMS is away: {failure.message}", hint="type: pfa doctor")
