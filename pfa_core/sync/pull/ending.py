"""The end of a pull from PEMS: its reason, status, message and missing records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import (
    FaultCode,
    InvalidData,
    LeaseHeld,
    PemsProtocol,
    PemsRejected,
    PemsUnavailable,
    PfaError,
)
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.rights import Operation
from pfa_core.model.run import RunStatus
from pfa_core.store import leases, members, mirror, pull_pages, runs
from pfa_core.sync.pull.drift import NOTHING_STORED
from pfa_core.sync.pull.grid_pull import GridPull, Resumption
from pfa_core.sync.pull.intake import MAX_FAULTS, Intake
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.pull.page_store import PageStore
from pfa_core.sync.pull.run_history import end_pull


class StopReason(Enum):
    """Why no further page is asked for."""

    COMPLETE = auto()  # every row was read
    NO_RECORDS = auto()  # a full pull without a row
    OLDER = auto()  # every row was read, some are of an older version than the mirror's
    REFUSED = auto()  # a page would empty fields, hardly on purpose
    FAILED = auto()  # PEMS could not be read any further
    SHORT = auto()  # rows ended before the total; a resumed pull would end there too
    STOPPED = auto()  # the caller asked to

    @property
    def status(self) -> RunStatus:
        """Return the status that a run with this end has."""
        return RunStatus.COMPLETED if self is StopReason.COMPLETE else RunStatus.PARTIAL


RESUMES = "received records are stored, none is marked missing; the next pull resumes here"
_ASKS_AGAIN = "received records are stored; the next pull asks for the others again"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the reading ended.

    `failure` where it FAILED or was SHORT, `refusal` where it was REFUSED.
    """

    reason: StopReason
    resumption: Resumption | None = None
    failure: Failure | None = None
    refusal: InvalidData | None = None

    def message(self, read: int, older: int) -> str:
        """Return what the history says about the end, empty where there is nothing to say."""
        if self.reason is StopReason.NO_RECORDS:
            return "PEMS answered with no records at all: nothing was marked missing"
        if self.reason is StopReason.OLDER:
            text = "1 record is" if older == 1 else f"{older:,} records are"
            return f"{text} older in PEMS than in the mirror: nothing was marked missing"
        if self.refusal:
            reason = self.refusal.message.removesuffix(NOTHING_STORED)
            return f"stopped before a page, the pages before it are stored: {reason}"
        if self.failure:
            return f"interrupted after {read:,} records: {self.failure.message}"
        if self.reason is StopReason.STOPPED:
            return f"stopped after {read:,} records"
        resumed = self.resumption
        if resumed is None:
            return ""
        return f"resumed after row {resumed.position.offset:,} of run {resumed.run_id}"

    @property
    def code(self) -> str:
        """Return the error code of an incomplete pull, empty for a complete one."""
        if self.reason is StopReason.COMPLETE:
            return ""
        at_fault = (StopReason.OLDER, StopReason.REFUSED)
        return InvalidData.code if self.reason in at_fault else PemsUnavailable.code

    def hint(self, pull: GridPull) -> str:
        """Return what helps, or what was kept."""
        match self.reason:
            case StopReason.COMPLETE:
                return ""
            case StopReason.NO_RECORDS:
                return "if PEMS has none, add `allow_no_records`"
            case StopReason.OLDER:
                return "to store them all the same, add `allow_older`"
            case StopReason.REFUSED if self.refusal:
                return self.refusal.hint
            case _ if pull.dry_run:
                return ""
            case StopReason.SHORT:
                return _ASKS_AGAIN
            case _:
                return RESUMES if pull.is_full else _ASKS_AGAIN


def finish(pull: GridPull, ending: Ending, intake: Intake, store: PageStore) -> PullResult:
    """Mark missing records and write the run's end.

    Raises:
        LeaseHeld: The lease was lost.
        PemsUnavailable, PemsRejected, PemsProtocol: PEMS gave not even one page.
        InvalidData: Every record was refused.
    """
    if pull.run.lost:
        raise LeaseHeld("the lease was lost: no heartbeat of this process for too long")
    # An incremental pull may find nothing but a record that is refused again and again.
    if ending.reason is StopReason.COMPLETE and pull.is_full and not store.stored:
        intake.require_some(0)
    if ending.failure and not intake.number and not pull.stop.is_set():
        raise _as_error(ending.failure)
    with pull.run.refused_by_lease():
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
    ending = _judged(pull, ending, intake, store)
    missing = _missing(conn, pull, ending, store)
    if ending.reason in (StopReason.SHORT, StopReason.OLDER) and not pull.dry_run:
        pull_pages.drop(conn, code)  # a resumed pull would end there again
    result = _result(pull, ending, intake, store, missing=missing)
    if intake.behind.number:
        runs.put_behind(conn, code, pull.run.run_id, intake.behind)
    end_pull(conn, pull.run, result)
    return result


def _judged(pull: GridPull, ending: Ending, intake: Intake, store: PageStore) -> Ending:
    """Replace the ending of a pull whose rows were all read, but are not all of PEMS."""
    if ending.reason is not StopReason.COMPLETE:
        return ending
    nothing = pull.is_full and not intake.number and ending.resumption is None
    if nothing and not pull.allow.no_records:
        return replace(ending, reason=StopReason.NO_RECORDS)
    return replace(ending, reason=StopReason.OLDER) if store.older else ending


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
    is_whole = ending.code == "" or ending.reason in (StopReason.NO_RECORDS, StopReason.OLDER)
    refused = ending.refusal.details if ending.refusal else ()
    texts = (ending.message(intake.number, store.older), store.drift.text(intake.columns))
    return PullResult(
        run_id=pull.run.run_id,
        status=ending.reason.status,
        total=intake.number,
        inserted=store.counts.inserted,
        updated=store.counts.updated,
        unchanged=store.counts.unchanged,
        missing=missing,
        rejected=intake.rejected + store.older,
        foreign=intake.foreign,
        normalized=intake.normalized,
        behind=intake.behind,
        older=store.older,
        emptied=store.drift.reported(intake.columns),
        new_fields=store.drift.new_fields,
        faults=[*refused, *intake.faults, *store.faults][:MAX_FAULTS],
        message="; ".join(filter(None, texts)),
        code=ending.code,
        hint=ending.hint(pull),
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
