"""`pfa sync pull`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import Locked, sync
from pfa_cli.envelopes.runs import pulled
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import RUN, learn_mirror
from pfa_cli.framework.moments import parse_instant
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.run_log import Logs
from pfa_cli.framework.signals import Stop, in_order
from pfa_cli.framework.sizes import MaxSize, parse_size
from pfa_cli.framework.talk import Talk
from pfa_cli.parameters import with_options
from pfa_cli.render import streams
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.runs import PULL_COUNTS, passed_over, pull_text
from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.model import shell
from pfa_core.model.run import IfLocked, RunStatus

if TYPE_CHECKING:
    from pfa_core.model.run import Behind
    from pfa_core.sync.pull.options import PullResult

SHOWN_FAULTS = 20
COLUMNS = ("runId", "status", *PULL_COUNTS)


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
    exit_codes="3 some records were rejected, or the pull was incomplete, the rest is stored; "
    "9 not a table of records, or fields would be emptied: nothing is stored; "
    "69 PEMS is unreachable; 75 another pull is active.",
    columns=COLUMNS,
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
        str, typer.Option("--format", metavar="NAME", help="auto, json, jsonl, csv, tsv, grid.")
    ] = "auto",
    field_map: Annotated[
        Path | None,
        typer.Option(
            "--field-map",
            metavar="FILE",
            help="TOML file that maps grid aliases to fields [PFA_PEMS_FIELD_MAP].",
        ),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            "--null",
            metavar="TEXT",
            help="What a cell of a CSV or TSV holds in place of nothing, such as NULL. May be repeated.",
        ),
    ] = None,
    max_size: MaxSize = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="From PEMS only what changed since, RFC 3339 or a date."
        ),
    ] = None,
    allow_emptied: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-emptied",
            metavar="FIELD|all",
            help="Let this field be emptied in many records; may be repeated.",
        ),
    ] = None,
    if_locked: Locked = IfLocked.FAIL,
    *,
    allow_older: Annotated[
        bool,
        typer.Option(
            "--allow-older", help="Store records of an older PEMS version than the mirror's."
        ),
    ] = False,
    allow_no_records: Annotated[
        bool,
        typer.Option(
            "--allow-no-records",
            help="If PEMS answers with no record at all, mark every record as missing.",
        ),
    ] = False,
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
    if null and not files:
        raise InvalidRequest("--null is of files", hint="pfa sync pull --from FILE --null NULL")
    if max_size and not files:
        raise InvalidRequest(
            "--max-size is of files", hint="pfa sync pull --from FILE --max-size 1GiB"
        )
    if files and (incremental or since or restart or allow_no_records):
        raise InvalidRequest(
            "--incremental, --since, --restart and --allow-no-records cannot be combined with --from"
        )
    if more and not source:
        given = " ".join(map(shell.file, more))
        raise InvalidRequest("files require --from", hint=f"type: pfa sync pull --from {given}")
    options = core.PullOptions(
        incremental=incremental,
        since=_instant(since),
        restart=restart,
        if_locked=if_locked,
        allow_emptied=allow_emptied or (),
        allow_older=allow_older,
        allow_no_records=allow_no_records,
    )
    database, principal = call.open()
    talk.note_typing(files)
    # Of files all is stored or nothing: an interrupt ends their pull at once.
    signals = nullcontext(Stop()) if files else in_order()
    with (
        signals as stop,
        logs.attached(),
        ProgressLine(call.common, "record", "reading", waits=not files) as progress,
    ):
        if files:
            result = core.pull_files(
                database,
                principal,
                files,
                file_format=file_format,
                field_map=field_map,
                names=call.pems_names(),
                nulls=null or (),
                dry_run=call.dry_run,
                if_locked=if_locked,
                allow_emptied=options.allow_emptied,
                allow_older=allow_older,
                max_size=parse_size(max_size),
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
        progress.say_rate(result.total)
    call.learn(RUN, filter(None, [result.run_id]))
    learn_mirror(call, result.inserted + result.updated)
    _show_pull(call, talk, result, from_pems=not files)
    _say_next(call, talk, result)
    code = _report(call, talk, result, from_pems=not files)
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


def _show_pull(call: Invocation, talk: Talk, result: PullResult, *, from_pems: bool) -> None:
    if result.faults:
        talk.mask(result)
    look = call.look(Format.TABLE)
    item = {
        "runId": result.run_id,
        "status": str(result.status),
        **{name: getattr(result, name) for name in PULL_COUNTS},
    }
    sheet = Sheet(
        id_column="runId",
        columns=COLUMNS,
        items=[item],
        envelope=pulled(result, seconds=call.seconds, masked=talk.masked or None),
        text=lambda: pull_text(result, look, from_pems=from_pems),
    )
    show(sheet, look)
    talk.note_dry_run()


def _say_next(call: Invocation, talk: Talk, result: PullResult) -> None:
    """Name the command that shows what changed.

    A first pull changes nothing that was there. A job has no use for it, and would mail it.
    """
    changed = result.updated or (result.inserted and result.unchanged)
    if changed and result.run_id and not call.dry_run and streams.is_terminal(sys.stderr):
        talk.say(f"next: pfa changes --run {result.run_id}")


def _report(call: Invocation, talk: Talk, result: PullResult, *, from_pems: bool) -> int:
    """Say what is incomplete, and return the exit code."""
    skipped = result.status is RunStatus.SKIPPED
    hint = with_options(result.hint)
    for applies, text in (
        (skipped, f"skipped: {result.message}"),
        (result.status is RunStatus.COMPLETED and result.message, result.message),
        (result.interrupted, "; ".join(filter(None, (result.message, hint)))),
    ):
        if applies:
            talk.say(text)
    for text in passed_over(result):
        talk.say(text)
    if result.missing and not skipped:
        talk.hint(_missing(result, from_pems=from_pems, dry_run=call.dry_run))
    if skipped or result.interrupted:
        return 0
    if result.status is RunStatus.PARTIAL:
        message = f"the pull is incomplete: {result.message}"
        faults = result.faults[:SHOWN_FAULTS]
        return talk.partly_done(message, result.code, faults, hint)
    return _report_rejected(call, talk, result) if result.rejected or result.behind.number else 0


def _missing(result: PullResult, *, from_pems: bool, dry_run: bool) -> str:
    if not from_pems:
        others = f"{count(result.missing, 'other record')} of the mirror"
        verb = "is" if result.missing == 1 else "are"
        return f"{others} {verb} as before: a file marks nothing as missing"
    missing = f"{count(result.missing, 'record')} of the mirror not among those stored"
    if dry_run:
        return f"{missing}: a pull marks them as missing"
    return f"{missing}: marked as missing, kept until PEMS has them again"


def _report_rejected(call: Invocation, talk: Talk, result: PullResult) -> int:
    shown = result.faults[:SHOWN_FAULTS]
    hints = [with_options(result.hint)] if result.hint else []
    if result.rejected > len(shown) and not call.dry_run:
        hints.append(
            f"the first {len(shown)} are shown; all of them: pfa sync show {result.run_id}"
        )
    if result.behind.number:
        hints.append(_asked_again(result.behind))
    hint = "\n".join(hints)
    rest = "the rest would be stored" if call.dry_run else "the rest stored"
    message = f"{result.rejected:,} of {count(result.total, 'record')} rejected, {rest}"
    if not result.rejected:
        message = f"{count(result.behind.number, 'record')} rejected before the interruption"
    return talk.partly_done(message, InvalidData.code, shown, hint)


def _asked_again(behind: Behind) -> str:
    """Say from when on the next incremental pull asks for what was refused."""
    asked = f"every incremental pull asks for {count(behind.number, 'record')} again"
    if behind.since is None:
        return f"{asked}: for all of PEMS, since it is unknown when they were changed"
    return f"{asked}: for all changes since {behind.since:%Y-%m-%d %H:%M} UTC"
