"""`pfa sync …`: reading from PEMS, and the history of runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli import streams
from pfa_cli.compose import Effect, command, group
from pfa_cli.render.documents import document
from pfa_cli.render.formats import Format
from pfa_cli.render.sheet import Sheet, show
from pfa_cli.render.words import count
from pfa_cli.session import Call
from pfa_core.errors import InvalidData, InvalidRequest

if TYPE_CHECKING:
    from pfa_core.overview import Run
    from pfa_core.pull import PullResult

app = typer.Typer(rich_markup_mode=None)
sync = group(app, "sync", "Exchange with PEMS: pull its records, look at past runs.")
SHOWN_FAULTS = 20
COUNTS = ("total", "inserted", "updated", "unchanged", "missing", "rejected", "foreign")
RUN_COLUMNS = ("runId", "direction", "status", "startedAt", "userId", "source", "counts", "message")


@command(
    sync,
    "pull",
    effect=Effect.WRITES,
    examples=(
        "pfa sync pull --from mirror.jsonl",
        "pfa sync pull --from grid-1.json grid-2.json --field-map grid-map.toml",
        "zcat mirror.jsonl.gz | pfa sync pull --from -",
    ),
    exit_codes="3 some records were rejected, the rest is stored; 75 another pull is at work.",
)
def pull(
    call: Call,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="More files, after --from FILE.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="FILE|-", help="File to read instead of PEMS; may be repeated."
        ),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, json, jsonl, csv, grid.")
    ] = "auto",
    field_map: Annotated[
        Path | None,
        typer.Option(
            "--field-map", metavar="FILE", help="Grid aliases to fields, TOML [PFA_PEMS_FIELD_MAP]."
        ),
    ] = None,
) -> int:
    """Read records into the mirror. Unchanged ones stay untouched; drafts stay what they are."""
    if not source:
        raise InvalidRequest("sync pull reads files so far", hint="type: pfa sync pull --from FILE")
    files = [*source, *(more or ())]
    database, principal = call.open()
    progress = _Progress(call)
    result = core.pull_files(
        database,
        principal,
        files,
        file_format=file_format,
        field_map=field_map or call.settings.pems_field_map,
        dry_run=call.dry_run,
        progress=progress.tell,
    )
    progress.end()
    _show_pull(call, result)
    return _told_faults(call, result)


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


class _Progress:
    """A counter on the terminal that overwrites itself."""

    def __init__(self, call: Call) -> None:
        self._shown = streams.is_terminal(sys.stderr) and not call.common.quiet
        self._told = False

    @property
    def tell(self) -> Callable[[int], None] | None:
        """What to call with the number of records read; None where nobody looks."""
        return self._tell if self._shown else None

    def end(self) -> None:
        """Wipe the counter."""
        if self._told:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _tell(self, number: int) -> None:
        self._told = True
        sys.stderr.write(f"\r{number:,} records read")
        sys.stderr.flush()


def _show_pull(call: Call, result: PullResult) -> None:
    counts = {name: getattr(result, name) for name in COUNTS}
    item = {"runId": result.run_id, "status": str(result.status), **counts}
    sheet = Sheet(
        id_column="runId",
        columns=tuple(item),
        items=[item],
        document=lambda: _pull_document(call, item),
        text=lambda: _pull_text(item),
    )
    show(sheet, call.look(Format.TABLE))
    if call.dry_run:
        call.say("dry run, rolled back")


def _pull_document(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in item.items() if name != "foreign"}
    return {**told, "metadata": {"duration": call.seconds, "foreign": item["foreign"]}}


def _pull_text(item: dict[str, Any]) -> str:
    from pfa_cli.render.grid import facts

    numbers = [(name, item[name]) for name in COUNTS if item[name] or name == "total"]
    width = max(len(f"{number:,}") for _, number in numbers)
    aligned = [(name, f"{number:>{width},}") for name, number in numbers]
    return facts([("run", item["runId"]), ("status", item["status"]), *aligned])


def _told_faults(call: Call, result: PullResult) -> int:
    if not result.rejected:
        return 0
    shown = result.faults[:SHOWN_FAULTS]
    hint = ""
    if result.rejected > len(shown) and not call.dry_run:
        hint = f"the first {len(shown)} are shown; all of them: pfa sync show {result.run_id}"
    rejected = f"{result.rejected:,} of {count(result.total, 'record')} rejected"
    return call.partly_done(f"{rejected}, the others went on", InvalidData.code, shown, hint)


def _run_row(run: Run) -> dict[str, Any]:
    return {**document(run), "counts": _counts(run)}


def _counts(run: Run) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in run.counts.items() if number)


def _heading(run: Run) -> list[str]:
    lines = [f"{run.direction} {run.run_id}: {run.status}, by {run.user_id} from {run.source}"]
    return [*lines, *(text for text in (_counts(run), run.message) if text)]
