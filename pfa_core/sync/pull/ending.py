"""The end of a pull from PEMS: its reason, status, message and missing records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import (
    FaultCode,
    LeaseHeld,
    PemsProtocol,
    PemsRejected,
    PemsUnavailable,
    PfaError,
)
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.rights import Operation
from pfa_core.model.run import RunStatus
from pfa_core.store import leases, members, mirror, pull_pages
from pfa_core.sync.pull.grid_pull import GridPull, Resumption
from pfa_core.sync.pull.intake import Intake, end_pull
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.pull.page_store import PageStore


class StopReason(Enum):
    """Why no further page is asked for."""

    COMPLETE = auto()  # every row was read
    NO_RECORDS = auto()  # there was no row at all, although the mirror holds records
    FAILED = auto()  # PEMS could not be read any further
    SHORT = auto()  # rows ended before the total; a resumed pull would end there too
    STOPPED = auto()  # the caller asked to

    @property
    def status(self) -> RunStatus:
        """Return the status that a run with this end has."""
        return RunStatus.COMPLETED if self is StopReason.COMPLETE else RunStatus.PARTIAL


@dataclass(frozen=True, slots=True)
class Ending:
    """How the reading ended; `failure` where it FAILED or was SHORT."""

    reason: StopReason
    resumption: Resumption | None = None
    failure: Failure | None = None

    def message(self, read: int) -> str:
        """Return what the history says about the end, empty where there is nothing to say."""
        if self.reason is StopReason.NO_RECORDS:
            return "PEMS answered with no records at all: nothing was marked missing"
        if self.failure:
            return f"interrupted after {read:,} records: {self.failure.message}"
        if self.reason is StopReason.STOPPED:
            return f"stopped after {read:,} records"
        resumed = self.resumption
        if resumed is None:
            return ""
        return f"resumed after row {resumed.position.offset:,} of run {resumed.run_id}"


def finish(pull: GridPull, ending: Ending, intake: Intake, store: PageStore) -> PullResult:
    """Mark missing records and write the run's end.

    Raises:
        LeaseHeld: The lease was lost.
        PemsUnavailable, PemsRejected, PemsProtocol: PEMS gave not even one page.
        InvalidData: Every record was refused.
    """
    if pull.run.lost:
        raise LeaseHeld("the lease was lost: no heartbeat of this process for too long")
    if ending.reason is StopReason.COMPLETE and not store.stored:
        intake.require_some(0)
    if ending.failure and not intake.number and not pull.stop.is_set():
        raise _as_error(ending.failure)
    result = pull.run.db.transact(
        lambda conn: _end(conn, pull, ending, intake, store), dry_run=pull.dry_run
    )
    pull.log.event("ended", status=result.status, **result.counts())
    mask = pull.run.mask
    return replace(result, faults=mask.faults(result.faults), masked=mask.hides)


def _end(
    conn: Connection[Any], pull: GridPull, ending: Ending, intake: Intake, store: PageStore
) -> PullResult:
    code = pull.organization_id
    authorize(conn, pull.run.principal, Operation.PULL_PEMS)
    members.lock_mirror(conn, code)
    mirror.prune_rollup(conn, code)
    if pull.is_full and _brought_nothing(conn, pull, ending, intake):
        ending = replace(ending, reason=StopReason.NO_RECORDS)
    missing = _missing(conn, pull, ending, store)
    if ending.reason is StopReason.SHORT and not pull.dry_run:
        pull_pages.drop(conn, code)  # a resumed pull would end there again
    result = _result(pull, ending, intake, store, missing=missing)
    end_pull(conn, pull.run, result)
    return result


def _brought_nothing(conn: Connection[Any], pull: GridPull, ending: Ending, intake: Intake) -> bool:
    if ending.reason is not StopReason.COMPLETE or pull.dry_run:
        return False
    nothing = not intake.number and ending.resumption is None
    return nothing and mirror.count(conn, pull.organization_id) > 0


def _missing(conn: Connection[Any], pull: GridPull, ending: Ending, store: PageStore) -> int:
    """Mark what PEMS no longer has; return how many. A dry run only counts."""
    if ending.reason is not StopReason.COMPLETE or not pull.is_full:
        return 0
    code, run = pull.organization_id, pull.run
    if pull.dry_run:
        known = store.counts.unchanged + store.counts.updated
        return max(0, mirror.count(conn, code) - known)
    began_at = ending.resumption.began_at if ending.resumption else run.started_at
    at = leases.clock(conn)
    missing = mirror.mark_missing(conn, code, run.run_id, began_at=began_at, at=at)
    pull_pages.drop(conn, code)
    return missing


def _result(
    pull: GridPull, ending: Ending, intake: Intake, store: PageStore, *, missing: int
) -> PullResult:
    is_whole = ending.reason in (StopReason.COMPLETE, StopReason.NO_RECORDS)
    return PullResult(
        run_id=pull.run.run_id,
        status=ending.reason.status,
        total=intake.number,
        inserted=store.counts.inserted,
        updated=store.counts.updated,
        unchanged=store.counts.unchanged,
        missing=missing,
        rejected=intake.rejected,
        foreign=intake.foreign,
        normalized=intake.normalized,
        faults=intake.faults,
        message=ending.message(intake.number),
        interrupted=pull.stop.is_set() and not is_whole,
    )


def _as_error(failure: Failure) -> PfaError:
    """Convert the failure of a pull that brought nothing into the error to raise."""
    reason = failure.message
    if failure.advice is RetryAdvice.STOP:
        return PemsRejected(
            f"PEMS rejected the credentials: {reason}",
            hint="see PFA_PEMS_USERNAME and PFA_PEMS_PASSWORD_FILE, then type: pfa doctor",
        )
    if failure.code == FaultCode.PEMS_PROTOCOL:
        return PemsProtocol(f"PEMS did not answer with a grid: {reason}")
    if failure.advice is RetryAdvice.NONE or failure.code == FaultCode.PEMS_REJECTED:
        return PemsRejected(f"PEMS refused the request: {reason}", hint="type: pfa doctor")
    return PemsUnavailable(f"PEMS is unreachable: {reason}", hint="type: pfa doctor")
