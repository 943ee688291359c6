"""`pfa sync push` and `retry`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import Locked, sync
from pfa_cli.commands.sync.outcome import report_push
from pfa_cli.envelopes.runs import PlanMetadata, PlannedPush, pushed
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.durations import parse_duration
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.override import Override, say_overridden
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.run_log import Logs
from pfa_cli.framework.signals import in_order
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.runs import PUSH_COUNTS, push_text
from pfa_core.model.principal import Right
from pfa_core.model.run import IfLocked

if TYPE_CHECKING:
    from pfa_core.store.queue import DeadLetter
    from pfa_core.sync.push.options import PushPlan, PushResult

EXIT_CODES = (
    "3 some changes were rejected, are in conflict, wait for a retry or were stored with other values,"
    " the rest is sent;"
    " 5 --override without the right override_guards; 7 a limit is exceeded, nothing is sent;"
    " 69 PEMS is unreachable; 75 another push is active; 78 PEMS rejects the credentials;"
    " 130, 143 interrupted, terminated; what was under way is settled."
)
PLAN_COLUMNS = ("pfaId", "userId", "sessionId", "state", "delta", "nextAttemptAt")
PLAN_CSV = (*PLAN_COLUMNS, "modificationId", "attempts", "changeReason")
LETTER_COLUMNS = ("pfaId", "userId", "sessionId", "attempts", "syncError")
LETTER_CSV = ("pfaId", "modificationId", "userId", "sessionId", "delta", "attempts", "syncError")
PUSH_COLUMNS = ("runId", "status", *PUSH_COUNTS)

Concurrency = Annotated[
    int,
    typer.Option("--concurrency", metavar="N", min=1, max=64, help="Maximum parallel requests."),
]
Rate = Annotated[
    float | None, typer.Option("--rate", metavar="N", help="Maximum requests per second.")
]
Deadline = Annotated[
    str | None,
    typer.Option("--deadline", metavar="TIME", help="Stop sending after: 90s, 10m."),
]


@command(
    sync,
    "push",
    effect=Effect.WRITES,
    examples=(
        "pfa sync push",
        "pfa sync push --dry-run",
        "pfa sync push --session weather-silo4",
        "pfa sync push --if-locked skip --deadline 10m --log-file push.log",
    ),
    exit_codes=EXIT_CODES,
)
def push(
    call: Invocation,
    talk: Talk,
    logs: Logs,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="Only changes of sessions of this name."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Maximum number of changes."),
    ] = None,
    concurrency: Concurrency = 4,
    rate: Rate = None,
    deadline: Deadline = None,
    if_locked: Locked = IfLocked.FAIL,
    override: Override = None,
) -> int:
    """Send the committed changes of the organization to PEMS, oldest first.

    Those of every user are sent, each exactly once, even after an interruption; what PEMS has accepted
    is in the mirror at once. Where PEMS changed the same field meanwhile, a conflict is opened: pfa
    conflict. Where all of it is over a limit nothing is sent: pfa org set --max-records.
    """
    options = core.PushOptions(
        session_id=session,
        concurrency=concurrency,
        rate=rate,
        limit=limit,
        deadline=parse_duration(deadline) if deadline else None,
        if_locked=if_locked,
        guards=core.profile_guards(call.settings),
        override=override,
    )
    call.require_columns(PLAN_CSV if call.dry_run else PUSH_COLUMNS)
    database, principal = call.open()
    if call.dry_run:
        plan = core.stream_plan_push(
            database,
            principal,
            session_id=session,
            limit=limit,
            guards=options.guards,
            override=override,
        )
        _show_plan(call, talk, plan)
        _hint_session(call, talk, session, plan.total)
        if plan.refused:
            raise plan.refused
        say_overridden(talk, plan.overridden, override)
        return 0
    with in_order() as stop, logs.attached(), _progress(call) as progress:
        result = core.push_changes(
            database,
            principal,
            call.pems(),
            options,
            stop=stop.event,
            progress=progress.update,
        )
        progress.say_rate(result.total)
    code = _show_push(call, talk, result)
    say_overridden(talk, result.overridden, override)
    _hint_session(call, talk, session, result.total + result.waiting)
    return stop.exit_code or code


@command(
    sync,
    "retry",
    effect=Effect.WRITES,
    examples=("pfa sync retry --dry-run", "pfa sync retry", "pfa sync retry RUN"),
    exit_codes=f"{EXIT_CODES} 6 no such run.",
)
def retry(
    call: Invocation,
    talk: Talk,
    logs: Logs,
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Only what failed in this run.")
    ] = None,
    concurrency: Concurrency = 4,
    rate: Rate = None,
    deadline: Deadline = None,
    if_locked: Locked = IfLocked.FAIL,
    override: Override = None,
) -> int:
    """Send again what PEMS rejected or what was abandoned; --dry-run lists it."""
    options = core.PushOptions(
        concurrency=concurrency,
        rate=rate,
        deadline=parse_duration(deadline) if deadline else None,
        if_locked=if_locked,
        guards=core.profile_guards(call.settings),
        override=override,
    )
    call.require_columns(LETTER_CSV if call.dry_run else PUSH_COLUMNS)
    database, principal = call.open()
    profile = None if call.dry_run else call.pems()
    with in_order() as stop, logs.attached(), _progress(call) as progress:
        result = core.retry(
            database,
            principal,
            profile,
            run_id,
            options,
            dry_run=call.dry_run,
            stop=stop.event,
            progress=progress.update,
        )
    talk.mask(*result.letters)
    if result.push is None:
        return _show_letters(call, talk, result.letters)
    progress.say_rate(result.push.total)
    code = _show_push(call, talk, result.push)
    say_overridden(talk, result.push.overridden, override)
    return stop.exit_code or code


def _progress(call: Invocation) -> ProgressLine:
    return ProgressLine(call.common, "change", "looking for changes to send", waits=True)


def _hint_session(call: Invocation, talk: Talk, session: str | None, changes: int) -> None:
    """Name the caller's session that one without changes most likely means."""
    if changes or session is None or talk.quiet:
        return
    if call.principal.is_service or Right.READ not in call.principal.rights:
        return  # a refusal would be in the audit trail
    sessions = core.status(call.database, call.principal).sessions
    known = {item.session_id for item in sessions}
    if session not in known:
        from pfa_core.model.suggest import did_you_mean

        talk.hint(f"no changes of a session {session!r}{did_you_mean(session, known)}")


def _show_plan(call: Invocation, talk: Talk, plan: PushPlan) -> None:
    first = list(islice(plan.changes, 1))
    talk.mask(*first)
    items = map(document, chain(first, plan.changes))
    sheet = Sheet(
        id_column="pfaId",
        columns=PLAN_COLUMNS,
        ranked=("pfaId", "sessionId", "delta", "state"),
        csv_columns=PLAN_CSV,
        items=items,
        envelope=_planned(call, talk, "planned", items, plan.total),
    )
    show(sheet, call.look(Format.TSV))
    talk.say(f"dry run, nothing was sent: {count(plan.total, 'change')} would be sent")


def _show_letters(call: Invocation, talk: Talk, letters: list[DeadLetter]) -> int:
    items = [document(letter) for letter in letters]
    status = "planned" if call.dry_run else "completed"
    show_records(
        items,
        call.look(Format.TABLE),
        number=len(items),
        envelope=_planned(call, talk, status, items, len(items)),
        columns=LETTER_COLUMNS,
        all_columns=LETTER_CSV,
    )
    talk.say(count(len(items), "dead letter") if items else "no dead letters")
    return 0


def _planned(
    call: Invocation, talk: Talk, status: str, items: Iterable[dict[str, Any]], total: int
) -> PlannedPush:
    return PlannedPush(
        status=status,
        total=total,
        data=items,
        metadata=PlanMetadata(call.seconds, talk.masked or None),
    )


def _show_push(call: Invocation, talk: Talk, result: PushResult) -> int:
    """Show a push, say what is not in PEMS, and return the exit code."""
    if result.problems:
        talk.mask(result)
    look = call.look(Format.TABLE)
    item = {
        "runId": result.run_id,
        "status": result.status,
        **{name: getattr(result, name) for name in PUSH_COUNTS},
    }
    sheet = Sheet(
        id_column="runId",
        columns=PUSH_COLUMNS,
        items=[item],
        envelope=pushed(result, seconds=call.seconds, masked=talk.masked or None),
        text=lambda: push_text(result, look),
    )
    show(sheet, look)
    return report_push(talk, result)
