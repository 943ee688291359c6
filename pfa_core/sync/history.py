"""The history of runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from pfa_core.access.authorization import authorize
from pfa_core.access.masking import mask_for
from pfa_core.errors import NotFound
from pfa_core.model.principal import Principal
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation
from pfa_core.model.run import Outcome, Run
from pfa_core.store import runs
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run and what became of the records that need a person's eye; where `masked`, numbers are
    hidden in the messages, since they may be money."""

    run: Run
    outcomes: list[Outcome]
    masked: bool = False


def list_runs(db: Database, principal: Principal, *, limit: int = 20) -> list[Run]:
    """The organization's runs, the latest first."""
    require_limit(limit)

    def work(conn: Connection[Any]) -> list[Run]:
        authorize(conn, principal, Operation.LIST_RUNS)
        return runs.runs(conn, principal.organization_id, limit)

    return db.read(work)


def show_run(db: Database, principal: Principal, run_id: str) -> RunDetail:
    """A run and its per-record outcomes.

    Raises:
        NotFound: The organization has no such run.
    """

    def work(conn: Connection[Any]) -> RunDetail:
        mask = mask_for(principal, authorize(conn, principal, Operation.SHOW_RUN))
        run = None
        with suppress(ValueError):
            run = runs.run(conn, principal.organization_id, str(UUID(run_id.strip())))
        if run is None:
            raise NotFound(f"there is no run {run_id!r}", hint="type: pfa sync runs")
        outcomes = runs.outcomes(conn, principal.organization_id, run.run_id)
        return RunDetail(run, [mask.outcome(item) for item in outcomes], mask.hides)

    return db.read(work)
