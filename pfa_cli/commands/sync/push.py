"""`pfa sync push` and `retry`: what was committed, to PEMS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.sync.group import Locked, Progress, sync
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.durations import parse_duration
from pfa_cli.framework.run_log import Logs
from pfa_cli.framework.signals import in_order
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import BaselineConflict, PemsRejected, PemsUnavailable
from pfa_core.model.run import IfLocked

if TYPE_CHECKING:
    from pfa_core.store.queue import DeadLetter
    from pfa_core.sync.push.options import PushOptions, PushResult

SHOWN_FAULTS = 20
DEADLINE_PASSED = "DEADLINE_PASSED"
LATE = "the deadline passed"
COUNTS = ("total", "synced", "rejected", "conflicts", "retrying")
EXIT_CODES = (
    "3 some were rejected, are in conflict or wait for a retry, the rest is sent; 69 PEMS is away; "
    "75 another push is at work; 78 PEMS refuses the credentials; 130, 143 ended in order."
)

Concurrency = Annotated[
    int,
    typer.Option("--concurrency", metavar="N", min=1, max=64, help="Requests under way at once."),
]
Rate = Annotated[float | None, typer.Option("--rate", metavar="N", help="Sends a second at most.")]
Deadline = Annotated[
    str | None, typer.Option("--deadline", metavar="TIME", help="Send nothing after: 90s, 10m.")
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
    call: Call,
    logs: Logs,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="Only commitments of sessions so named."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="So many commitments at most.")
    ] = None,
    concurrency: Concurrency = 4,
    rate: Rate = None,
    deadline: Deadline = None,
    if_locked: Locked = IfLocked.FAIL,
) -> int:
    """Send what is committed to PEMS, everybody's in the organization, the oldest first.

    Each commitment is sent exactly once, whatever is cut off on the way; what PEMS has taken is in
    the mirror at once. Where PEMS changed the same field meanwhile, a person decides: pfa conflict.
    """
    options = core.PushOptions(
        session_id=session,
        concurrency=concurrency,
        rate=rate,
        limit=limit,
        deadline=parse_duration(deadline) if deadline else None,
        if_locked=if_locked,
    )
    database, principal = call.open()
    if call.dry_run:
        planned = core.plan_push(database, principal, session_id=session, limit=limit)
        call.mask(*planned)
        return _show_plan(call, [document(item) for item in planned])
    progress = Progress(call, "commitment", "looked after")
    with in_order() as stop, logs.attached():
        try:
            result = core.push_commitments(
                database,
                principal,
                call.pems(),
                options,
                stop=stop.event,
                progress=progress.tell,
            )
        finally:
            progress.end()
    if result.problems:
        call.mask(result)
    _show_push(call, result)
    code = _told(call, result)
    return stop.exit_code or code


@command(
    sync,
    "retry",
    effect=Effect.WRITES,
    examples=("pfa sync retry --dry-run", "pfa sync retry", "pfa sync retry RUN"),
    exit_codes=f"{EXIT_CODES} 6 no such run.",
)
def retry(
    call: Call,
    logs: Logs,
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Only what failed in this run.")
    ] = None,
    concurrency: Concurrency = 4,
    rate: Rate = None,
    deadline: Deadline = None,
    if_locked: Locked = IfLocked.FAIL,
) -> int:
    """Try again what PEMS refused or what was given up; --dry-run lists it."""
    options: PushOptions = core.PushOptions(
        concurrency=concurrency,
        rate=rate,
        deadline=parse_duration(deadline) if deadline else None,
        if_locked=if_locked,
    )
    database, principal = call.open()
    profile = None if call.dry_run else call.pems()
    progress = Progress(call, "commitment", "looked after")
    with in_order() as stop, logs.attached():
        try:
            result = core.retry(
                database,
                principal,
                profile,
                run_id,
                options,
                dry_run=call.dry_run,
                stop=stop.event,
                progress=progress.tell,
            )
        finally:
            progress.end()
    call.mask(*result.letters)
    if result.push and result.push.problems:
        call.mask(result.push)
    if result.push is None:
        return _show_letters(call, result.letters)
    _show_push(call, result.push)
    code = _told(call, result.push)
    return stop.exit_code or code


def _show_plan(call: Call, items: list[dict[str, Any]]) -> int:
    columns = ("pfaId", "userId", "sessionId", "state", "delta", "nextAttemptAt")
    sheet = Sheet(
        id_column="pfaId",
        columns=columns,
        csv_columns=(*columns, "modificationId", "attempts", "changeReason"),
        items=items,
        document=lambda: {
            "runId": None,
            "status": "planned",
            "total": len(items),
            **dict.fromkeys(COUNTS[1:], 0),
            "data": items,
            "metadata": {"duration": call.seconds, **call.mark},
        },
    )
    show(sheet, call.look(Format.TSV))
    call.say(f"dry run, nothing was sent: {count(len(items), 'commitment')} would be")
    return 0


def _show_letters(call: Call, letters: list[DeadLetter]) -> int:
    items = [document(letter) for letter in letters]
    show_records(
        call,
        items,
        lambda: {
            "runId": None,
            "status": "planned" if call.dry_run else "completed",
            "total": len(items),
            **dict.fromkeys(COUNTS[1:], 0),
            "data": items,
            "metadata": {"duration": call.seconds, **call.mark},
        },
        columns=("pfaId", "userId", "sessionId", "attempts", "syncError"),
        all_columns=(
            "pfaId",
            "modificationId",
            "userId",
            "sessionId",
            "delta",
            "attempts",
            "syncError",
        ),
    )
    call.say(f"{count(len(items), 'dead letter')}" if items else "there are no dead letters")
    return 0


def _show_push(call: Call, result: PushResult) -> None:
    counts = {name: getattr(result, name) for name in COUNTS}
    item = {"runId": result.run_id, "status": result.status, **counts}
    sheet = Sheet(
        id_column="runId",
        columns=tuple(item),
        items=[item],
        document=lambda: {
            **item,
            "metadata": {
                "duration": call.seconds,
                "recovered": result.recovered,
                "waiting": result.waiting,
                "blocked": result.blocked,
                **call.mark,
            },
        },
        text=lambda: _push_text(item, result),
    )
    show(sheet, call.look(Format.TABLE))


def _push_text(item: dict[str, Any], result: PushResult) -> str:
    from pfa_cli.render.tables import facts

    if result.run_id is None:
        return ""
    numbers = [(name, item[name]) for name in COUNTS if item[name] or name == "total"]
    numbers += [("recovered", result.recovered)] if result.recovered else []
    width = max(len(f"{number:,}") for _, number in numbers)
    aligned = [(name, f"{number:>{width},}") for name, number in numbers]
    return facts([("run", item["runId"]), ("status", item["status"]), *aligned])


def _told(call: Call, result: PushResult) -> int:
    """Say what is not in PEMS, and what to type next; the exit code."""
    if result.status == "skipped":
        call.say(f"skipped: {result.message}")
        return 0
    if result.blocked:
        waiting = count(result.blocked, "commitment")
        call.say(f"{waiting} left behind conflicts or dead letters of the same record")
        call.hint("pfa conflict list; pfa sync retry --dry-run")
    left = result.waiting - result.blocked
    late, unfinished = result.message == LATE, left + result.retrying
    if result.interrupted and unfinished and not (result.conflicts or result.rejected):
        call.say(f"{_done(result)}, {unfinished:,} left: pfa sync push goes on")
        return 0
    if not result.total and not late:
        call.say("nothing was pushed" if result.waiting else "nothing to push")
        return 0
    if result.total == result.synced and not late:
        call.say(f"{_done(result)}{f', {left:,} more to send' if left else ''}")
        return 0
    return call.partly_done(
        _summary(result, left, late=late),
        _code(result),
        list(result.problems[:SHOWN_FAULTS]),
        _hint(result),
        retryable=not result.rejected and not result.conflicts,
    )


def _done(result: PushResult) -> str:
    return f"{count(result.synced, 'commitment')} in PEMS"


def _summary(result: PushResult, left: int, *, late: bool) -> str:
    numbers = (
        (result.conflicts, "in conflict"),
        (result.rejected, "refused"),
        (result.retrying, "waiting for a retry"),
    )
    failures = ", ".join(f"{number:,} {word}" for number, word in numbers if number)
    parts = [LATE] if late else []
    parts += [failures] if failures else []
    done = f"{_done(result)}, {count(left, 'commitment')} left" if left else _done(result)
    return "; ".join([*parts, done])


def _code(result: PushResult) -> str:
    """The code of the gravest thing that happened."""
    if result.rejected:
        return PemsRejected.code
    if result.conflicts:
        return BaselineConflict.code
    return DEADLINE_PASSED if result.message == LATE else PemsUnavailable.code


def _hint(result: PushResult) -> str:
    lines = []
    if result.conflicts:
        lines.append("conflicts: pfa conflict list")
    if result.rejected:
        lines.append(f"refused: pfa sync show {result.run_id}, then pfa sync retry {result.run_id}")
    if result.retrying:
        lines.append("waiting: the next pfa sync push tries again")
    elif result.message == LATE:
        lines.append("the next pfa sync push goes on")
    return "\n".join(lines)
