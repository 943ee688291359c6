"""`pfa revert`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.problems import problems
from pfa_cli.envelopes.undo import Reverted, RevertMetadata
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import SESSION, learn_ids
from pfa_cli.framework.preview import say_preview
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import BaselineConflict, InvalidData
from pfa_core.model import shell

if TYPE_CHECKING:
    from pfa_core.drafts.revert import RevertResult

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("pfaId", "modificationId", "version", "status")


@command(
    app,
    "revert",
    effect=Effect.WRITES,
    examples=(
        "pfa revert --session weather-silo4 --dry-run",
        "pfa revert --run 018f6d5e-7c1a-7000-8000-0242ac120002",
        "pfa revert --id HOLNG-000123",
    ),
    exit_codes="2 nothing selected; 3 some fields were changed in PEMS since, or --partial left some;"
    " 6 nothing of it is in PEMS; 7 all was changed since, or a record has a draft; 9 a rule is broken.",
    columns=_COLUMNS,
)
def revert(
    call: Invocation,
    talk: Talk,
    *,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="What you changed in this session."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="What this push sent of yours."),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="PFA_ID",
            help="Only this record, alone its last change; may be repeated.",
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the audit trail.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Save the valid ones although others are invalid.")
    ] = False,
) -> int:
    """Draft the values of before for your changes that are in PEMS already.

    The drafts are in a session of their own, revert-NAME, and wait for pfa commit as any others. A field that was
    changed in PEMS since is not drafted: both values are shown.
    """
    database, principal = call.open()
    result = core.revert(
        database,
        principal,
        session_id=session,
        run_id=run,
        ids=ids or (),
        reason=reason,
        partial=partial,
        dry_run=call.dry_run,
    )
    talk.mask(result)
    show_records(
        result.saved,
        call.look(Format.TABLE),
        number=len(result.saved),
        envelope=Reverted(
            session_id=result.session_id,
            saved=result.saved,
            changed_since=result.changed_since,
            unchanged=result.unchanged,
            emptied=result.emptied,
            waiting=result.waiting,
            preview=result.preview,
            errors=problems(result.errors),
            metadata=RevertMetadata(call.milliseconds),
        ),
        columns=("pfaId", "version", "status"),
        all_columns=_COLUMNS,
        preview=result.preview,
    )
    call.learn(SESSION, [result.session_id] if result.saved else [])
    learn_ids(call, (item.pfa_id for item in result.saved))
    _say(call, talk, result)
    return _left(talk, result)


def _say(call: Invocation, talk: Talk, result: RevertResult) -> None:
    name = result.session_id
    drafted = sum(item.status != "unchanged" for item in result.saved)
    same = len(result.saved) - drafted
    parts = [f"{count(drafted, 'draft')} saved in session {name}"] if drafted else []
    if same:
        parts.append(f"{count(same, 'draft')} unchanged")
    if result.emptied:
        parts.append(f"{count(len(result.emptied), 'draft')} removed (nothing left to change)")
    if result.unchanged:
        parts.append(f"{count(len(result.unchanged), 'record')} as before already")
    talk.done(", ".join(parts) or "nothing was drafted")
    say_preview(talk, result.preview)
    if result.waiting:
        talk.say(f"note: {result.waiting:,} of the session are not in PEMS: pfa undo, pfa uncommit")
    if result.saved and not call.dry_run:
        shown = shell.command("pfa diff", [name])
        talk.say(f"next: {shown}, then pfa commit --session {shell.word(name)}")


def _left(talk: Talk, result: RevertResult) -> int:
    """Report what was left; return 3 where something was."""
    if not result.left:
        return 0
    since = len(result.changed_since)
    parts = [f"{count(since, 'field')} changed in PEMS since"] if since else []
    if result.errors:
        parts.append(count(len(result.errors), "problem"))
    return talk.partly_done(
        f"{', '.join(parts)}; drafted: {count(len(result.saved), 'record')}",
        BaselineConflict.code if since else InvalidData.code,
        result.left,
    )
