"""The history of runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from pfa_core.errors import NotFound
from pfa_core.model.ids import RunId
from pfa_core.model.ordering import OUTCOMES, RUNS
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


def _check_runs(*, limit: int = 20, sort: str | None = None) -> None:
    require_limit(limit)
    RUNS.parse(sort)


@reads(Operation.LIST_RUNS, check=_check_runs)
def list_runs(tx: Tx, *, limit: int = 20, sort: str | None = None) -> list[Run]:
    """List the organization's runs, the latest first.

    Args:
        sort: Other keys than `-startedAt`, see `model.ordering.RUNS`.
    """
    return runs.runs(tx.conn, tx.organization_id, limit, RUNS.parse(sort))


def _check_run(_run_id: str, *, limit: int | None = None, sort: str | None = None) -> None:
    if limit is not None:
        require_limit(limit)
    OUTCOMES.parse(sort)


@reads(Operation.SHOW_RUN, check=_check_run)
def show_run(
    tx: Tx, run_id: str, *, limit: int | None = None, sort: str | None = None
) -> RunDetail:
    """Show a run and its per-record outcomes.

    Args:
        limit: The maximum number of outcomes; None for all.
        sort: Other keys than the run's own order, see `model.ordering.OUTCOMES`.

    Raises:
        NotFound: The organization has no such run.
    """
    run = require_run(tx, run_id)
    keys = OUTCOMES.parse(sort)
    outcomes = runs.outcomes(tx.conn, tx.organization_id, run.run_id, keys=keys, limit=limit)
    return RunDetail(run, [tx.mask.outcome(item) for item in outcomes], tx.mask.hides)


def require_run(tx: Tx, run_id: str) -> Run:
    """Return a run of the organization.

    Raises:
        NotFound: The organization has no such run.
    """
    with suppress(ValueError):
        wanted = RunId(str(UUID(run_id.strip())))
        if found := runs.runs(tx.conn, tx.organization_id, 1, run_id=wanted):
            return found[0]
    raise NotFound(f"run not found: {run_id!r}", hint="type: pfa sync runs")
