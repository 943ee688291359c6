"""`pfa sync runs` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import sync
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import RUN
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import Limit, sort_keys, sort_option
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.history import run_change_row
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.runs import run_counts, run_heading
from pfa_core.model.ordering import OUTCOMES, RUNS

if TYPE_CHECKING:
    from pfa_core.model.run import Run

RUN_COLUMNS = ("runId", "direction", "status", "startedAt", "userId", "source", "counts", "message")
RUN_CSV = (*RUN_COLUMNS[:4], "finishedAt", *RUN_COLUMNS[4:])
OUTCOME_COLUMNS = ("position", "pfaId", "outcome", "code", "message")
OUTCOME_CSV = (*OUTCOME_COLUMNS, "at")


@command(
    sync, "runs", examples=("pfa sync runs", "pfa sync runs --limit 5 -o json"), columns=RUN_CSV
)
def runs(
    call: Invocation,
    talk: Talk,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of runs.")
    ] = 20,
    sort: Annotated[str, sort_option(RUNS)] = RUNS.default,
) -> None:
    """List the runs of the organization, newest first."""
    database, principal = call.open()
    found = core.list_runs(database, principal, limit=limit, sort=sort_keys(sort))
    call.learn(RUN, (run.run_id for run in found))
    look = call.look(Format.TSV)
    sheet = Sheet(
        id_column="runId",
        columns=RUN_COLUMNS,
        csv_columns=RUN_CSV,
        ranked=("runId", "direction", "status", "counts", "startedAt", "message", "userId"),
        items=map(document, found),
        rows=[_row(run, for_people=look.is_page) for run in found],
        envelope=Data(found, metadata(call, talk)),
    )
    show(sheet, look)
    if not found:
        talk.hint("no runs yet; start one: pfa sync pull --from FILE")


@command(
    sync, "show", examples=("pfa sync show RUN", "pfa sync show RUN -o csv"), columns=OUTCOME_CSV
)
def show_run(
    call: Invocation,
    talk: Talk,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    limit: Limit = None,
    sort: Annotated[str, sort_option(OUTCOMES)] = OUTCOMES.default,
) -> None:
    """Show a run, the outcomes of its records and the records that it changed.

    Changed records come after the outcomes, with the fields that changed: at most --limit of them, else 100.
    """
    database, principal = call.open()
    detail = core.show_run(database, principal, run_id, limit=limit, sort=sort_keys(sort))
    talk.mask(detail)
    sheet = Sheet(
        id_column="pfaId",
        columns=OUTCOME_COLUMNS,
        csv_columns=OUTCOME_CSV,
        items=(document(item) for item in (*detail.outcomes, *detail.changes)),
        rows=[
            *map(document, detail.outcomes),
            *(run_change_row(item) for item in detail.changes),
        ],
        envelope=Data(detail, metadata(call, talk)),
    )
    look = call.look(Format.TABLE)
    if look.format is Format.TABLE:
        for line in run_heading(detail.run):
            talk.say(line)
    show(sheet, look)
    if detail.more_changes:
        named = f"{len(detail.changes):,} changed records are named"
        talk.say(f"{named}; all of them: pfa changes --run {detail.run.run_id} --limit 0")


def _row(run: Run, *, for_people: bool) -> dict[str, Any]:
    return {**document(run), "counts": run_counts(run, total=not for_people)}
