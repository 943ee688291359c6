"""`pfa sync runs` and `show`: the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import sync
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import command
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

if TYPE_CHECKING:
    from pfa_core.status_summary import Run

RUN_COLUMNS = ("runId", "direction", "status", "startedAt", "userId", "source", "counts", "message")


@command(sync, "runs", examples=("pfa sync runs", "pfa sync runs --limit 5 -o json"))
def runs(
    call: Call,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List the runs of the organization, the newest first."""
    database, principal = call.open()
    found = core.list_runs(database, principal, limit=limit)
    sheet = Sheet(
        id_column="runId",
        columns=RUN_COLUMNS,
        csv_columns=(*RUN_COLUMNS[:4], "finishedAt", *RUN_COLUMNS[4:]),
        items=[document(run) for run in found],
        rows=[_run_row(run) for run in found],
        document=lambda: {"data": document(found), "metadata": call.metadata()},
    )
    show(sheet, call.look(Format.TSV))
    if not found:
        call.hint("no run yet; pfa sync pull --from FILE makes the first")


@command(sync, "show", examples=("pfa sync show RUN", "pfa sync show RUN -o csv"))
def show_run(
    call: Call, run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
) -> None:
    """Show a run and the outcomes of its records."""
    database, principal = call.open()
    detail = core.show_run(database, principal, run_id)
    call.mask(detail)
    columns = ("position", "pfaId", "outcome", "code", "message")
    sheet = Sheet(
        id_column="pfaId",
        columns=columns,
        csv_columns=(*columns, "at"),
        items=[document(outcome) for outcome in detail.outcomes],
        document=lambda: {"data": document(detail), "metadata": call.metadata()},
    )
    look = call.look(Format.TABLE)
    if look.format is Format.TABLE and not call.common.quiet:
        for line in _heading(detail.run):
            call.say(line)
    show(sheet, look)


def _run_row(run: Run) -> dict[str, Any]:
    return {**document(run), "counts": _counts(run)}


def _counts(run: Run) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in run.counts.items() if number)


def _heading(run: Run) -> list[str]:
    lines = [f"{run.direction} {run.run_id}: {run.status}, by {run.user_id} from {run.source}"]
    return [*lines, *(text for text in (_counts(run), run.message) if text)]
