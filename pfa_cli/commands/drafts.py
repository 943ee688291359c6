"""`pfa draft …`: writing drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.render.changes import show_saved, show_unset
from pfa_cli.render.escape import plain
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidRequest
from pfa_core.model.delta import unwritable
from pfa_core.model.query import Filters
from pfa_core.model.record import FIELDS

if TYPE_CHECKING:
    from pfa_core.records import ModificationView

app = typer.Typer(rich_markup_mode=None)
draft = group(app, "draft", "Write drafts: private changes over the baseline.")

Into = Annotated[
    str | None,
    typer.Option(
        "--into", metavar="SESSION", help="Session to save in; made up for new drafts without it."
    ),
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the audit trail.")
]
Move = Annotated[bool, typer.Option("--move", help="Take along drafts of other sessions.")]
Partial = Annotated[
    bool, typer.Option("--partial", help="Save the good ones although others are faulty.")
]
Everything = Annotated[
    bool, typer.Option("--all", help="Every record; needed when nothing else selects.")
]


@command(
    draft,
    "save",
    effect=Effect.WRITES,
    examples=(
        "pfa draft save delta.json",
        "pfa draft save - --session weather-silo4 --reason 'Silo 4 stopped' < delta.jsonl",
        "pfa draft save delta.csv --dry-run",
    ),
    exit_codes="3 some were faulty (--partial); 7 version or session conflict; 9 nothing saved.",
)
def save(
    call: Call,
    *,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="JSON, JSONL or CSV; - is standard input.")
    ],
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="Session to save in; wins over the file's."),
    ] = None,
    replace_delta: Annotated[
        bool,
        typer.Option("--replace", help="Replace the drafts' deltas instead of adding to them."),
    ] = False,
    move: Move = False,
    partial: Partial = False,
    reason: Reason = None,
) -> int:
    """Save deltas from a file as drafts, all or none.

    Saving again adds to a record's draft. All faults of the file are reported at once.
    """
    delta = core.read_delta_file(file)
    call.belongs_to(delta.organization_id, delta.source)
    changes = [
        replace(change, change_reason=change.change_reason or reason) for change in delta.changes
    ]
    database, principal = call.open()
    result = core.save(
        database,
        principal,
        changes,
        session_id=session or delta.session_id,
        replace=replace_delta,
        move=move,
        partial=partial,
        dry_run=call.dry_run,
        faults=delta.faults,
        source=delta.source,
    )
    return show_saved(call, result, delta.source)


@command(
    draft,
    "set",
    effect=Effect.WRITES,
    examples=(
        "pfa draft set HOLNG-000123 forecastEnd=2027-02-15 --reason 'Weather'",
        'pfa draft set --area-silo "Silo 4" --source Rental dor=BEO',
        "pfa draft set HOLNG-000123 equipment=",
    ),
    exit_codes="6 no such record; 9 a value or a merged record breaks a rule.",
)
def set_fields(
    call: Call,
    filters: Filters,
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
    everything: Everything = False,
) -> int:
    """Set fields of the named records, or of all that the filters find.

    --session narrows to records of a session; with ids it names the session to save in.
    """
    ids = [word for word in words if "=" not in word]
    assignments = [word for word in words if "=" in word]
    if not assignments:
        raise InvalidRequest("no FIELD=VALUE is given", hint="type: pfa draft set --help")
    filters, session = _with_ids(filters, ids, into, everything=everything)
    delta = core.parse_assignments(assignments)
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
        dry_run=call.dry_run,
    )
    return show_saved(call, result, "")


@command(
    draft,
    "unset",
    effect=Effect.WRITES,
    examples=(
        "pfa draft unset HOLNG-000123 forecastEnd",
        "pfa draft unset --session weather monthlyRate",
    ),
    exit_codes="6 none of the records has a draft.",
)
def unset_fields(
    call: Call,
    filters: Filters,
    *,
    words: Annotated[
        list[str], typer.Argument(metavar="[PFA_ID]... FIELD...", help="Records and fields.")
    ],
    everything: Everything = False,
) -> None:
    """Take fields out of drafts: they follow the baseline again. An empty draft vanishes."""
    fields = [word for word in words if word in FIELDS]
    wrong = None if fields else unwritable(words[-1])
    if wrong:
        raise InvalidRequest(
            f"{words[-1]}: {wrong.reason}", hint="name the fields after the records"
        )
    filters, _ = _with_ids(
        filters, [word for word in words if word not in FIELDS], None, everything=everything
    )
    database, principal = call.open()
    result = core.unset_fields(database, principal, filters, fields, dry_run=call.dry_run)
    show_unset(call, result)


@command(
    draft,
    "shift",
    effect=Effect.WRITES,
    loose_numbers=True,
    examples=(
        'pfa draft shift 14 --area-silo "Silo 4" --no-actualized --into weather-silo4',
        "pfa draft shift -7 --session weather-silo4",
    ),
    exit_codes="3 with --partial when some were refused; 9 nothing saved.",
)
def shift(
    call: Call,
    filters: Filters,
    *,
    days: Annotated[
        int, typer.Argument(metavar="DAYS", help="Later by so many days, earlier when negative.")
    ],
    into: Into = None,
    reason: Reason = None,
    move: Move = False,
    partial: Partial = False,
    everything: Everything = False,
) -> int:
    """Move both forecast dates of all records that the filters find.

    Actualized records are refused: filter them out, or keep the others with --partial.
    """
    filters, session = _with_ids(filters, (), into, everything=everything)
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
    return show_saved(call, result, "")


@command(
    draft,
    "list",
    examples=(
        "pfa draft list",
        "pfa draft list --session weather -o jsonl",
        "pfa draft list --state committed",
    ),
)
def list_drafts(call: Call, filters: Filters) -> None:
    """List my drafts; other states with --state."""
    database, principal = call.open()
    drafts = core.list_drafts(database, principal, filters)
    call.mask(*drafts)
    sheet = Sheet(
        id_column="pfaId",
        columns=("pfaId", "sessionId", "state", "version", "fields", "changeReason", "updatedAt"),
        csv_columns=(
            "pfaId",
            "modificationId",
            "sessionId",
            "state",
            "version",
            "delta",
            "changeReason",
            "createdAt",
            "updatedAt",
            "committedAt",
        ),
        items=[document(item) for item in drafts],
        rows=[_draft_row(item) for item in drafts],
        document=lambda: {
            "data": [document(item) for item in drafts],
            "metadata": call.metadata(filters=filters.given(), totalRecords=len(drafts)),
        },
    )
    show(sheet, call.look(Format.TSV))
    if not drafts:
        call.nothing_found(
            filters, "nothing is drafted here; pfa draft save, set and shift write drafts"
        )


def _with_ids(
    filters: Filters, ids: Sequence[str], into: str | None, *, everything: bool
) -> tuple[Filters, str | None]:
    """The filters with the named records, and the session to save in.

    Raises:
        InvalidRequest: Nothing narrows the records and --all was not given; or both.
    """
    session = into
    if ids:
        if len(filters.session) > 1:
            raise InvalidRequest("--session is given twice for the named records")
        session = into or (filters.session[0] if filters.session else None)
        filters = replace(filters, id=(*filters.id, *ids), session=())
    if not filters.given() and not everything:
        raise InvalidRequest(
            "no record is selected", hint="name records, give a filter, or --all for every record"
        )
    if filters.given() and everything:
        raise InvalidRequest("--all and a narrower selection contradict each other")
    return filters, session


def _draft_row(item: ModificationView) -> dict[str, object]:
    fields = ", ".join(
        f"{name}={'null' if value is None else plain(value)}" for name, value in item.delta.items()
    )
    return {**document(item), "fields": fields}
