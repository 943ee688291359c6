"""The history of runs."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_core.model.changes import RecordChange, record_change
from pfa_core.model.ordering import CHANGES, OUTCOMES, RUNS
from pfa_core.model.query import Filters, require_limit
from pfa_core.model.rights import Operation
from pfa_core.model.run import Outcome, Run
from pfa_core.operation import Tx, reads
from pfa_core.store import members, runs
from pfa_core.store.reads.changes import Changes, run_span

CHANGES_NAMED = 100  # records that a run changed, where no limit is given


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """A run with its outcomes, and the records that it changed in the mirror.

    Only records that need a person's attention have an outcome. `more_changes`: the run changed further
    records, which `list_changes` lists. Where `masked`, money is None in changes, and numbers are hidden in
    messages, since they may be money.
    """

    run: Run
    outcomes: list[Outcome]
    changes: list[RecordChange]
    more_changes: bool = False
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
    """Show a run, its per-record outcomes and the records that it changed.

    Args:
        limit: The maximum number of outcomes, and of changed records; None for all outcomes and the
            first hundred changed records.
        sort: Other keys than the run's own order of outcomes, see `model.ordering.OUTCOMES`.

    Raises:
        NotFound: The organization has no such run.
    """
    run = runs.named(tx.conn, tx.organization_id, run_id)
    keys, most = OUTCOMES.parse(sort), limit or CHANGES_NAMED
    outcomes = runs.outcomes(tx.conn, tx.organization_id, run.run_id, keys=keys, limit=limit)
    rows = _changes(tx, run).page(CHANGES.parse("pfaId"), None, limit=most + 1)
    return RunDetail(
        run=run,
        outcomes=[tx.mask.outcome(item) for item in outcomes],
        changes=[tx.mask.record_change(record_change(row)) for row in rows[:most]],
        more_changes=len(rows) > most,
        masked=tx.mask.hides,
    )


def _changes(tx: Tx, run: Run) -> Changes:
    return Changes(
        conn=tx.conn,
        principal=tx.principal,
        span=run_span(run),
        filters=Filters(),
        costing=members.costing(tx.conn, tx.organization_id),
    )
