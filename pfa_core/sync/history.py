"""The history of runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from pfa_core.errors import NotFound
from pfa_core.model.ids import RunId
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation
from pfa_core.model.run import Outcome, Run
from pfa_core.operation import Tx, reads
from pfa_core.store import runs


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with its outcomes.

    Only records that need a person's attention have an outcome. Where `masked`, numbers are hidden in the
    messages, since they may be money.
    """

    run: Run
    outcomes: list[Outcome]
    masked: bool = False


def _check_limit(*, limit: int = 20) -> None:
    require_limit(limit)


@reads(Operation.LIST_RUNS, check=_check_limit)
def list_runs(tx: Tx, *, limit: int = 20) -> list[Run]:
    """List the organization's runs, the latest first."""
    return runs.runs(tx.conn, tx.organization_id, limit)


@reads(Operation.SHOW_RUN)
def show_run(tx: Tx, run_id: str) -> RunDetail:
    """Show a run and its per-record outcomes.

    Raises:
        NotFound: The organization has no such run.
    """
    run = require_run(tx, run_id)
    outcomes = runs.outcomes(tx.conn, tx.organization_id, run.run_id)
    return RunDetail(run, [tx.mask.outcome(item) for item in outcomes], tx.mask.hides)


def require_run(tx: Tx, run_id: str) -> Run:
    """Return a run of the organization.

    Raises:
        NotFound: The organization has no such run.
    """
    with suppress(ValueError):
        run = runs.run(tx.conn, tx.organization_id, RunId(str(UUID(run_id.strip()))))
        if run is not None:
            return run
    raise NotFound(f"run not found: {run_id!r}", hint="type: pfa sync runs")
