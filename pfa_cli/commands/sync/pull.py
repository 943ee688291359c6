"""`pfa sync pull`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import Locked, Progress, sync
from pfa_cli.envelopes.runs import pulled
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.moments import parse_instant
from pfa_cli.framework.run_log import Logs
from pfa_cli.framework.signals import in_order
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.runs import PULL_COUNTS, pull_text
from pfa_core.errors import InvalidData, InvalidRequest, PemsUnavailable
from pfa_core.model.run import IfLocked, RunStatus

if TYPE_CHECKING:
    from pfa_core.sync.pull.options import PullResult

SHOWN_FAULTS = 20
KEPT = "received records are stored, none is marked missing; the next pull resumes here"


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
    exit_codes="3 some records were rejected or the pull was incomplete, the rest is stored; "
    "69 PEMS is unreachable; 75 another pull is active.",
)
def pull(
    call: Invocation,
    talk: Talk,
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
            "--field-map",
            metavar="FILE",
            help="TOML file that maps grid aliases to fields [PFA_PEMS_FIELD_MAP].",
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
        bool, typer.Option("--restart", help="Do not resume an interrupted pull.")
    ] = False,
) -> int:
    """Read records into the mirror, from PEMS or from files.

    Unchanged records and drafts are not touched. A full pull from PEMS marks the records that PEMS no
    longer has; an interrupted pull is resumed by the next one.
    """
    files = [*(source or ()), *(more or ())]
    if files and (incremental or since or restart):
        raise InvalidRequest("--incremental, --since and --restart cannot be combined with --from")
    if more and not source:
        raise InvalidRequest("files require --from", hint=f"pfa sync pull --from {more[0]}")
    options = core.PullOptions(
        incremental=incremental, since=_instant(since), restart=restart, if_locked=if_locked
    )
    database, principal = call.open()
    with in_order() as stop, logs.attached(), Progress(talk, "record", "read") as progress:
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
                progress=progress.update,
            )
        else:
            result = core.pull_pems(
                database,
                principal,
                call.pems(field_map),
                options,
                dry_run=call.dry_run,
                stop=stop.event,
                progress=progress.update,
            )
    _show_pull(call, talk, result)
    code = _report(call, talk, result)
    return stop.exit_code or code


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"invalid --since {text!r}", hint="write it as 2026-11-24T08:00:00Z or 2026-11-24"
        ) from None


def _show_pull(call: Invocation, talk: Talk, result: PullResult) -> None:
    if result.faults:
        talk.mask(result)
    item = {
        "runId": result.run_id,
        "status": str(result.status),
        **{name: getattr(result, name) for name in PULL_COUNTS},
    }
    sheet = Sheet(
        id_column="runId",
        columns=tuple(item),
        items=[item],
        envelope=pulled(result, seconds=call.seconds, masked=talk.masked or None),
        text=lambda: pull_text(result),
    )
    show(sheet, call.look(Format.TABLE))
    talk.note_dry_run()


def _report(call: Invocation, talk: Talk, result: PullResult) -> int:
    """Say what is incomplete, and return the exit code."""
    skipped = result.status is RunStatus.SKIPPED
    for applies, text in (
        (skipped, f"skipped: {result.message}"),
        (result.status is RunStatus.COMPLETED and result.message, result.message),
        (result.interrupted, f"{result.message}; {KEPT}"),
    ):
        if applies:
            talk.say(text)
    if result.missing and not skipped:
        missing = count(result.missing, "record")
        talk.hint(f"{missing} not received: marked as missing, kept until PEMS has them again")
    if skipped or result.interrupted:
        return 0
    if result.status is RunStatus.PARTIAL:
        message = f"the pull is incomplete: {result.message}"
        faults = result.faults[:SHOWN_FAULTS]
        return talk.partly_done(message, PemsUnavailable.code, faults, KEPT)
    return _report_rejected(call, talk, result) if result.rejected else 0


def _report_rejected(call: Invocation, talk: Talk, result: PullResult) -> int:
    shown = result.faults[:SHOWN_FAULTS]
    hint = ""
    if result.rejected > len(shown) and not call.dry_run:
        hint = f"the first {len(shown)} are shown; all of them: pfa sync show {result.run_id}"
    message = f"{result.rejected:,} of {count(result.total, 'record')} rejected, the rest stored"
    return talk.partly_done(message, InvalidData.code, shown, hint)
