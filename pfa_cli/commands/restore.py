"""`pfa restore`."""

from __future__ import annotations

from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.commands.selection import VERSIONS, Ids, Session
from pfa_cli.envelopes.problems import problems
from pfa_cli.envelopes.writes import Restored, RestoreMetadata
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.current import session_or_current
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import InvalidData

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "restore",
    effect=Effect.WRITES,
    examples=(
        "pfa restore --session weather-silo4 --dry-run",
        "pfa restore --id HOLNG-000123",
        "pfa restore --entry 018f6d5e-7c1a-7000-8000-0242ac120002",
    ),
    exit_codes="2 nothing selected; 3 with --partial, some were not restored; 6 nothing was"
    " discarded; 7 a record has a draft; 9 the PEMS values changed so that a rule is broken.",
    columns=VERSIONS,
)
def restore(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    entries: Annotated[
        list[str] | None,
        typer.Option(
            "--entry", metavar="ENTRY_ID", help="Only this entry of pfa log; may be repeated."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Restore the others when some cannot be restored.")
    ] = False,
) -> int:
    """Restore discarded drafts, all or none; the newest of each record.

    What a commit dropped because PEMS owns the field is restored likewise.
    """
    session = session_or_current(call, talk, session, otherwise=bool(ids or entries))
    database, principal = call.open()
    result = core.restore(
        database,
        principal,
        session_id=session,
        ids=ids or (),
        entry_ids=entries or (),
        partial=partial,
        dry_run=call.dry_run,
    )
    number = len(result.restored)
    envelope = Restored(
        restored_count=number,
        restored=result.restored,
        already_restored=result.already_restored,
        errors=problems(result.errors),
        metadata=RestoreMetadata(call.milliseconds),
    )
    show_records(
        result.restored,
        call.look(Format.TABLE),
        number=number,
        envelope=envelope,
        columns=VERSIONS,
    )
    talk.done(f"{count(number, 'draft')} restored")
    if result.already_restored:
        talk.say(f"{count(len(result.already_restored), 'draft')} already restored before")
    if not result.errors:
        return 0
    message = f"{count(len(result.errors), 'problem')}, {number:,} restored"
    return talk.partly_done(message, InvalidData.code, result.errors)
