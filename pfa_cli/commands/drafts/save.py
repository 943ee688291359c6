"""`pfa draft save`, `set` and `shift`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.commands.drafts.group import Everything, draft, select
from pfa_cli.envelopes.base import problems
from pfa_cli.envelopes.writes import Saved, SaveMetadata
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.current import session_or_current
from pfa_cli.framework.filters import FilterOptions
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import SESSION, learn_ids
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.sizes import MaxSize, parse_size
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import (
    leftovers_text,
    next_diff,
    preview_lines,
    saved_text,
    show_records,
)
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.drafts.save import SaveResult

_COLUMNS = ("pfaId", "modificationId", "version", "status")

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


@command(
    draft,
    "save",
    effect=Effect.WRITES,
    examples=(
        "pfa draft save delta.json",
        "pfa draft save - --session weather --reason 'Silo 4 stopped' < delta.jsonl",
        "pfa list -o csv > all.csv && pfa draft save all.csv --dry-run",
    ),
    exit_codes="3 some were invalid (--partial); 7 version or session conflict; 9 nothing saved.",
    columns=_COLUMNS,
)
def save(
    call: Invocation,
    talk: Talk,
    *,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="JSON, JSONL, CSV or TSV; - is standard input.")
    ],
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, json, jsonl, csv, tsv.")
    ] = "auto",
    nulls: Annotated[
        list[str] | None,
        typer.Option(
            "--null", metavar="TEXT", help="A cell of CSV or TSV that clears; may be repeated."
        ),
    ] = None,
    max_size: MaxSize = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
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
    reason: Reason = None,
) -> int:
    """Save deltas from a file as drafts, all or none.

    Of a list that pfa list wrote only the values that differ from the record's are saved. Saving again
    adds to a record's draft. All faults of the file are reported at once. In JSON a number or date may be relative
    to the record's, {"add": "5%"}: saved twice it is applied twice.
    """
    talk.note_typing([file])
    delta = core.read_delta_file(
        file, file_format, nulls=nulls or (), max_size=parse_size(max_size)
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
            reason=reason,
            dry_run=call.dry_run,
            faults=delta.faults,
            source=delta.source,
            progress=progress.update,
        )
    progress.say_rate(len(result.saved))
    if passed_over := leftovers_text(delta.empty_rows, delta.empty_columns):
        talk.say(f"note: {passed_over} passed over in {delta.source}")
    return _show_saved(call, talk, result, delta.source)


@command(
    draft,
    "set",
    effect=Effect.WRITES,
    examples=(
        "pfa draft set HOLNG-000123 forecastEnd=2027-02-15 --reason 'Weather'",
        'pfa draft set --area-silo "Silo 4" --source Rental dor=BEO',
        "pfa draft set --category Crane --source Rental monthlyRate=+5% --round 2 -n",
        "pfa draft set HOLNG-000123 forecastStart=originalStart forecastEnd=+2w",
        "pfa draft set HOLNG-000123 equipment=",
    ),
    exit_codes="6 no such record; 9 a value or a merged record breaks a rule.",
    columns=_COLUMNS,
)
def set_fields(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[PFA_ID]... FIELD=VALUE...", help="Records and new values; empty clears."
        ),
    ],
    into: Into = None,
    reason: Reason = None,
    move: Move = False,
    partial: Partial = False,
    keep_equal: KeepEqual = False,
    skip_missing: SkipMissing = False,
    decimals: Annotated[
        int | None,
        typer.Option(
            "--round",
            metavar="DECIMALS",
            min=0,
            max=6,
            help="Round relative numbers half up, 2: to cents.",
        ),
    ] = None,
    everything: Everything = False,
) -> int:
    """Set fields of the named records, or of all that the filters find.

    Numbers and dates may be relative to what pfa list shows of each record: monthlyRate=+5%, -10%, +250, -250,
    *1.05 or /2; forecastEnd=+14d, -2w, +1m or +1y; or the name of another number or date. Typed twice they are
    applied twice. --session narrows to records of a session; with ids it names the session to save in.
    """
    ids = [word for word in words if "=" not in word]
    assignments = [word for word in words if "=" in word]
    if not assignments:
        raise InvalidRequest("no FIELD=VALUE is given", hint="type: pfa draft set --help")
    filters, session = select(filters, ids, into, everything=everything)
    delta = core.parse_assignments(assignments, relative=True, decimals=decimals)
    session = session_or_current(call, talk, session, otherwise=bool(filters.session))
    database, principal = call.open()
    result = core.set_fields(
        database,
        principal,
        filters,
        delta,
        reason=reason,
        session_id=session,
        move=move,
        partial=partial,
        keep_equal=keep_equal,
        skip_missing=skip_missing,
        dry_run=call.dry_run,
    )
    return _show_saved(call, talk, result)


@command(
    draft,
    "shift",
    effect=Effect.WRITES,
    negative=True,
    examples=(
        'pfa draft shift 14 --area-silo "Silo 4" --no-actualized --into weather-silo4',
        "pfa draft shift -7 --session weather-silo4",
    ),
    exit_codes="3 with --partial when some were rejected; 9 nothing saved.",
    columns=_COLUMNS,
)
def shift(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    days: Annotated[int, typer.Argument(metavar="DAYS", help="Days later; negative: earlier.")],
    into: Into = None,
    reason: Reason = None,
    move: Move = False,
    partial: Partial = False,
    everything: Everything = False,
) -> int:
    """Move both forecast dates of all records that the filters find.

    Actualized records are rejected: exclude them with --no-actualized, or add --partial.
    """
    filters, session = select(filters, (), into, everything=everything)
    session = session_or_current(call, talk, session, otherwise=bool(filters.session))
    database, principal = call.open()
    result = core.shift(
        database,
        principal,
        filters,
        days,
        reason=reason,
        session_id=session,
        move=move,
        partial=partial,
        dry_run=call.dry_run,
    )
    return _show_saved(call, talk, result)


def _show_saved(call: Invocation, talk: Talk, result: SaveResult, source: str = "") -> int:
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
            preview=result.preview,
            errors=problems(result.errors),
            metadata=SaveMetadata(call.milliseconds, result.sessions),
        ),
        columns=("pfaId", "version", "status"),
        all_columns=_COLUMNS,
    )
    call.learn(SESSION, result.sessions)
    learn_ids(call, (item.pfa_id for item in result.saved))
    talk.done(saved_text(result))
    if result.preview and result.preview.records:
        talk.mask(result.preview)
        for line in preview_lines(result.preview):
            talk.say(line)
        talk.note_masking()
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
