"""`pfa draft save`."""

from __future__ import annotations

from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.commands.drafts.group import draft
from pfa_cli.commands.drafts.saving import (
    COLUMNS,
    KeepEqual,
    Move,
    Partial,
    Reason,
    SkipMissing,
    show_saved,
)
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.current import session_or_current
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.notation import NotationOptions
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.sizes import MaxSize, parse_size
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import leftovers_text, moved_text
from pfa_core.model.notation import Notation


@command(
    draft,
    "save",
    effect=Effect.WRITES,
    examples=(
        "pfa draft save delta.json",
        "pfa draft save - --session weather --reason 'Silo 4 stopped' < delta.jsonl",
        "pfa list --category Crane --to cranes.xlsx && pfa draft save cranes.xlsx -n",
        "pfa draft save offer.csv --decimal , --dates dmy --encoding cp1252",
    ),
    exit_codes="3 some were invalid (--partial); 7 version or session conflict; 9 nothing saved.",
    columns=COLUMNS,
)
def save(
    call: Invocation,
    talk: Talk,
    *,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-",
            help="JSON, JSONL, CSV, TSV or a workbook (.xlsx); - is standard input.",
        ),
    ],
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, json, jsonl, csv, tsv, xlsx.")
    ] = "auto",
    notation: Annotated[Notation, NotationOptions],
    nulls: Annotated[
        list[str] | None,
        typer.Option(
            "--null", metavar="TEXT", help="A cell of a table that clears; may be repeated."
        ),
    ] = None,
    max_size: MaxSize = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            "--into",
            metavar="NAME",
            help="Session to save in, instead of the file's [PFA_SESSION].",
        ),
    ] = None,
    replace_delta: Annotated[
        bool,
        typer.Option("--replace", help="Replace the drafts' deltas instead of adding to them."),
    ] = False,
    move: Move = False,
    partial: Partial = False,
    keep_equal: KeepEqual = False,
    skip_missing: SkipMissing = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Edited cells win over what you changed since the sheet was written.",
        ),
    ] = False,
    reason: Reason = None,
) -> int:
    """Save deltas from a file as drafts, all or none.

    Of a sheet that pfa list --to wrote only the edited cells are saved, of a list the values that differ from
    the record's. Saving again adds to a record's draft. All faults of the file are reported at once. In JSON a
    number or date may be relative to the record's, {"add": "5%"}: saved twice it is applied twice.
    """
    talk.note_typing([file])
    delta = core.read_delta_file(
        file,
        file_format,
        nulls=nulls or (),
        max_size=parse_size(max_size),
        notation=notation,
    )
    call.adopt_organization(delta.organization_id, delta.source)
    session = session_or_current(call, talk, session or delta.session_id)
    database, principal = call.open()
    with ProgressLine(call.common, "change", "saving") as progress:
        result = core.save(
            database,
            principal,
            delta.changes,
            session_id=session,
            replace=replace_delta,
            move=move,
            partial=partial,
            keep_equal=keep_equal,
            skip_missing=skip_missing,
            overwrite=overwrite,
            reason=reason,
            dry_run=call.dry_run,
            faults=delta.faults,
            source=delta.source,
            progress=progress.update,
        )
    progress.say_rate(len(result.saved))
    if passed_over := leftovers_text(delta.empty_rows, delta.empty_columns):
        talk.say(f"note: {passed_over} passed over in {delta.source}")
    if result.moved:
        talk.say(f"note: {moved_text(result.moved)}")
    return show_saved(call, talk, result, delta.source)
