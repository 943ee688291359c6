"""`pfa sync pull`: the baseline, from PEMS or from files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import Locked, Progress, sync
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.run_log import Logs
from pfa_cli.framework.signals import in_order
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import Fault, InvalidData, InvalidRequest, PemsUnavailable
from pfa_core.model.run import IfLocked

if TYPE_CHECKING:
    from pfa_core.sync.pull.files import PullResult

SHOWN_FAULTS = 20
KEPT = "what arrived is stored and nothing is marked missing; the next pull goes on behind it"
COUNTS = ("total", "inserted", "updated", "unchanged", "missing", "rejected", "foreign")


@command(
    sync,
    "pull",
    effect=Effect.WRITES,
    examples=(
        "pfa sync pull",
        "pfa sync pull --incremental",
        "pfa sync pull --since 2026-11-24T00:00:00Z",
        "pfa sync pull --from mirror.jsonl",
        "pfa sync pull --from grid-1.json grid-2.json --field-map grid-map.toml",
        "zcat mirror.jsonl.gz | pfa sync pull --from -",
    ),
    exit_codes="3 some records were rejected or it did not arrive whole, the rest is stored; "
    "69 PEMS is away; 75 another pull is at work.",
)
def pull(
    call: Call,
    logs: Logs,
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
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="From PEMS only what changed since, RFC 3339 or a date."
        ),
    ] = None,
    if_locked: Locked = IfLocked.FAIL,
    *,
    incremental: Annotated[
        bool,
        typer.Option(
            "--incremental", help="From PEMS only what changed since the last complete pull began."
        ),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where an earlier pull was cut off.")
    ] = False,
) -> int:
    """Read records into the mirror, from PEMS or from files.

    Unchanged records stay untouched, drafts stay what they are. A full pull from PEMS marks what PEMS
    no longer has; one that was cut off is gone on with by the next.
    """
    files = [*(source or ()), *(more or ())]
    if files and (incremental or since or restart):
        raise InvalidRequest("--incremental, --since and --restart are about PEMS, not about files")
    if more and not source:
        raise InvalidRequest("files follow --from", hint=f"pfa sync pull --from {more[0]}")
    moment = _moment(since)
    database, principal = call.open()
    progress = Progress(call, "record", "read")
    with in_order() as stop, logs.attached():
        try:
            if files:
                result = core.pull_files(
                    database,
                    principal,
                    files,
                    file_format=file_format,
                    field_map=field_map or call.settings.pems_field_map,
                    dry_run=call.dry_run,
                    if_locked=if_locked,
                    stop=stop.event,
                    progress=progress.tell,
                )
            else:
                result = core.pull_pems(
                    database,
                    principal,
                    call.pems(field_map),
                    core.PullOptions(
                        incremental=incremental,
                        since=moment,
                        restart=restart,
                        if_locked=if_locked,
                    ),
                    dry_run=call.dry_run,
                    stop=stop.event,
                    progress=progress.tell,
                )
        finally:
            progress.end()
    _show_pull(call, result)
    code = _told(call, result)
    return stop.exit_code or code


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"--since must be a time such as 2026-11-24T08:00:00Z, not {text!r}"
        ) from None


def _show_pull(call: Call, result: PullResult) -> None:
    if result.faults:
        call.mask(result)
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
    return {**told, "metadata": {"duration": call.seconds, "foreign": item["foreign"], **call.mark}}


def _pull_text(item: dict[str, Any]) -> str:
    from pfa_cli.render.tables import facts

    numbers = [(name, item[name]) for name in COUNTS if item[name] or name == "total"]
    width = max(len(f"{number:,}") for _, number in numbers)
    aligned = [(name, f"{number:>{width},}") for name, number in numbers]
    return facts([("run", item["runId"]), ("status", item["status"]), *aligned])


def _told(call: Call, result: PullResult) -> int:
    """Say what is not as it should be; the exit code."""
    if result.status == "skipped":
        call.say(f"skipped: {result.message}")
        return 0
    if result.message and result.status == "completed":
        call.say(result.message)
    if result.missing:
        missing = count(result.missing, "record")
        call.hint(
            f"{missing} did not arrive: marked as missing, kept and summed until PEMS has them again"
        )
    if result.interrupted:
        call.say(f"{result.message}; {KEPT}")
        return 0
    if result.status == "partial":
        return call.partly_done(
            f"the pull did not arrive whole: {result.message}",
            PemsUnavailable.code,
            _shown(result.faults),
            KEPT,
        )
    return _told_faults(call, result)


def _told_faults(call: Call, result: PullResult) -> int:
    if not result.rejected:
        return 0
    shown = _shown(result.faults)
    hint = ""
    if result.rejected > len(shown) and not call.dry_run:
        hint = f"the first {len(shown)} are shown; all of them: pfa sync show {result.run_id}"
    rejected = f"{result.rejected:,} of {count(result.total, 'record')} rejected"
    return call.partly_done(f"{rejected}, the others went on", InvalidData.code, shown, hint)


def _shown(faults: Sequence[Fault]) -> Sequence[Fault]:
    return faults[:SHOWN_FAULTS]
