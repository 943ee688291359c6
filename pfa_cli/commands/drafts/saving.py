"""Options of the commands that save drafts; their result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pfa_cli.envelopes.drafts import Saved, SaveMetadata
from pfa_cli.envelopes.problems import problems
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import SESSION, learn_ids
from pfa_cli.framework.preview import say_preview
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import (
    next_diff,
    saved_text,
    show_records,
)
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import InvalidData

if TYPE_CHECKING:
    from pfa_core.drafts.save import SaveResult

COLUMNS = ("pfaId", "modificationId", "version", "status")

Into = Annotated[
    str | None,
    typer.Option(
        "--into",
        metavar="SESSION",
        help="Session to save in [PFA_SESSION]; a new one is named automatically.",
    ),
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the audit trail.")
]
Move = Annotated[
    bool, typer.Option("--move", help="Move drafts from other sessions into this one.")
]
KeepEqual = Annotated[
    bool,
    typer.Option("--keep-equal", help="Draft values that equal the record's too; they are sent."),
]
SkipMissing = Annotated[
    bool,
    typer.Option(
        "--skip-missing", help="Leave out fields whose relative value has nothing to start from."
    ),
]
Partial = Annotated[
    bool, typer.Option("--partial", help="Save the valid ones although others are invalid.")
]


def show_saved(call: Invocation, talk: Talk, result: SaveResult, source: str = "") -> int:
    """Show saved drafts; return 3 when invalid ones were left out."""
    show_records(
        result.saved,
        call.look(Format.TABLE),
        number=len(result.saved),
        envelope=Saved(
            session_id=result.session_id or None,
            saved=result.saved,
            unchanged=result.unchanged,
            emptied=result.emptied,
            skipped=result.skipped,
            moved=result.moved,
            preview=result.preview,
            errors=problems(result.errors),
            metadata=SaveMetadata(call.milliseconds, result.sessions),
        ),
        columns=("pfaId", "version", "status"),
        all_columns=COLUMNS,
        preview=result.preview,
    )
    call.learn(SESSION, result.sessions)
    learn_ids(call, (item.pfa_id for item in result.saved))
    talk.done(saved_text(result))
    say_preview(talk, result.preview)
    if not call.dry_run and result.sessions:
        talk.say(f"next: {next_diff(result)}")
    if not result.errors:
        return 0
    place = f" in {source}" if source else ""
    done = "would be saved" if call.dry_run else "was saved"
    message = (
        f"{count(len(result.errors), 'problem')}{place},"
        f" the rest {done}: {count(len(result.saved), 'draft')}"
    )
    return talk.partly_done(message, InvalidData.code, result.errors)
