"""`pfa undo`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.undo import UndoMetadata, Undone
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.override import Override, say_overridden
from pfa_cli.framework.preview import say_preview
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import ago, count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_core.drafts.undo import UndoResult

app = typer.Typer(rich_markup_mode=None)
_LISTED = ("operation", "kind", "at", "records", "sessions", "undoing")
_ALL = (*_LISTED, "drafted", "changed", "ended", "pfaId", "takesBack", "undone")
_UNDONE = ("pfaId", "modificationId", "version", "became")
# What became of modifications, for people.
_WORDS = {
    "drafted": "{} brought back",
    "changed": "{} set back",
    "deleted": "{} deleted",
    "uncommitted": "{} not committed any more",
    "committed": "{} committed again",
}


@command(
    app,
    "undo",
    effect=Effect.WRITES,
    examples=(
        "pfa undo --list",
        "pfa undo --dry-run",
        "pfa undo",
        "pfa undo --redo",
        "pfa undo 42",
    ),
    exit_codes="6 nothing to undo; 7 it was sent, a push holds it, something later is on top of it, or it would"
    " commit more than a limit again.",
    columns=(*_UNDONE, *_ALL),
)
def undo(
    call: Invocation,
    talk: Talk,
    operation: Annotated[
        int | None,
        typer.Argument(metavar="[OPERATION]", help="This one by its number in --list."),
    ] = None,
    *,
    listing: Annotated[
        bool, typer.Option("--list", help="List your last operations and what undoing them does.")
    ] = False,
    redo: Annotated[bool, typer.Option("--redo", help="Take back the last undo.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="With --list, the maximum number [10]."),
    ] = None,
    override: Override = None,
) -> None:
    """Take back your last operation on drafts, all of it or nothing.

    Operations are draft save, set, shift and unset, discard, restore, revert, uncommit, and commit while nothing
    of it was sent. Again: the one before. Drafts and merged records are as before it; versions only rise. What is
    in PEMS is taken back by pfa revert. In the list save is also set, shift and revert: the audit trail keeps
    what was stored, not what was typed.
    """
    if listing:
        if operation is not None or redo or call.dry_run or override is not None:
            raise InvalidRequest(
                "--list cannot be combined with an operation, --redo, --override or --dry-run"
            )
        _list(call, talk, limit or 10)
        return
    if limit is not None:
        raise InvalidRequest("--limit requires --list")
    database, principal = call.open()
    result = core.undo(
        database,
        principal,
        operation=operation,
        redo=redo,
        guards=core.profile_guards(call.settings),
        override=override,
        dry_run=call.dry_run,
    )
    show_records(
        result.undone,
        call.look(Format.TABLE),
        number=len(result.undone),
        envelope=Undone(
            operation=result.operation,
            kind=result.kind,
            redone=result.redone,
            at=result.at,
            records=result.records,
            undone=result.undone,
            preview=result.preview,
            metadata=UndoMetadata(call.milliseconds),
        ),
        columns=("pfaId", "version", "became"),
        all_columns=_UNDONE,
        preview=result.preview,
    )
    talk.done(_said(result))
    say_overridden(talk, result.overridden, override)
    say_preview(talk, result.preview)
    if not call.dry_run:
        talk.say(f"next: pfa undo {'' if result.redone else '--redo '}takes this back")


def _list(call: Invocation, talk: Talk, limit: int) -> None:
    database, principal = call.open()
    found = core.list_operations(database, principal, limit=limit)
    sheet = Sheet(
        id_column="operation",
        columns=_LISTED,
        csv_columns=_ALL,
        ranked=("operation", "kind", "undoing", "records", "at", "sessions"),
        items=map(document, found),
        rows=({**document(one), "sessions": ", ".join(one.sessions)} for one in found),
        envelope=Data(found, metadata(call, talk)),
    )
    show(sheet, call.look(Format.TSV))
    if not found:
        talk.hint("no operations yet; a draft begins: pfa draft set ID FIELD=VALUE")


def _said(result: UndoResult) -> str:
    """Describe what was taken back, and what became of the drafts."""
    became: Counter[str] = Counter(one.became for one in result.undone)
    parts = [_WORDS[name].format(f"{number:,}") for name, number in sorted(became.items())]
    verb = "done again" if result.redone else "undone"
    what = f"{result.kind} of {count(result.records, 'record')}, {ago(result.at)}"
    return f"{verb}: operation {result.operation}, {what}: {', '.join(parts) or 'nothing changed'}"
