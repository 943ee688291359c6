"""What the history says of a pull: its end and the records that it refused."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from pfa_core.errors import Fault
from pfa_core.model.ids import PfaId
from pfa_core.store import leases, runs, statistics
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.run import ActiveRun


def end_pull(conn: Connection[Any], run: ActiveRun, result: PullResult) -> None:
    """Write a pull's end and refusals into the history, its end into the audit trail."""
    run.end(conn, result.status, result.counts(), result.message or None)
    outcomes = [_outcome(run, number, fault) for number, fault in enumerate(result.faults, 1)]
    runs.add_outcomes(conn, run.organization_id, run.run_id, outcomes, leases.clock(conn))
    statistics.ask(conn)


def _outcome(run: ActiveRun, number: int, fault: Fault) -> runs.NewOutcome:
    return runs.NewOutcome(
        outcome_id=str(run.db.new_id()),
        number=number,
        pfa_id=PfaId(fault.pfa_id),
        position=fault.position,
        outcome="rejected",
        code=fault.code,
        message=f"{fault.field} {fault.message}".strip(),
    )
