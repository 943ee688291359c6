"""`pfa conflict …`: what PEMS and I changed both, and who is right."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.render.changes import show_records, tell
from pfa_cli.render.escape import plain, visible
from pfa_cli.render.failures import fault_document
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import ago, count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import BaselineConflict, InvalidData, InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.conflicts.resolve import ResolveResult
    from pfa_core.conflicts.views import ConflictView

app = typer.Typer(rich_markup_mode=None)
conflict = group(app, "conflict", "Settle what PEMS and I changed both.")

TABLE = ("pfaId", "field", "base", "mine", "pems", "pemsNow", "sessionId", "age")
LINES = (*TABLE[:-1], "createdAt")
SETTLED = ("taken", "value", "resolvedBy", "resolvedAt")
EVERYTHING = (
    "conflictId",
    *LINES,
    "status",
    "resolution",
    *SETTLED,
    "modifiedBy",
    "changeReason",
    "modificationId",
)
RESOLVED = ("pfaId", "resolution", "state", "version")

Of = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="NAME", help="Conflicts of this member; takes the right manage_users."
    ),
]


@command(
    conflict,
    "list",
    examples=(
        "pfa conflict list",
        "pfa conflict list --category Crane --status all -o csv",
        "pfa conflict list --user edna -o json",
    ),
    exit_codes="5 --user without the right to manage users.",
)
def list_conflicts(
    call: Call,
    filters: Filters,
    *,
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help="unresolved, resolved, all.")
    ] = "unresolved",
    user: Of = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many conflicts.")
    ] = None,
) -> None:
    """List the fields in conflict, the newest first: base, mine, and what PEMS has."""
    database, principal = call.open()
    found = core.list_conflicts(
        database, principal, filters, status=status, user_id=user, limit=limit
    )
    call.mask(*found)
    look = call.look(Format.TSV)
    sheet = Sheet(
        id_column="conflictId",
        columns=_columns(found, look),
        csv_columns=EVERYTHING,
        known=(*EVERYTHING, "age"),
        items=[document(item) for item in found],
        rows=[row for item in found for row in _rows(item)],
        document=lambda: {
            "data": document(found),
            "metadata": call.metadata(filters=filters.given(), totalRecords=len(found)),
        },
    )
    show(sheet, look)
    _tell_next(call, found, status, user)
    if not found:
        call.nothing_found(filters, "")


@command(
    conflict,
    "show",
    examples=("pfa conflict show HOLNG-000123", "pfa conflict show HOLNG-000123 -o json"),
    exit_codes="5 --user without the right to manage users; 6 no such conflict.",
)
def show_conflict(
    call: Call,
    *,
    conflict_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The conflict, or the record that has one open."),
    ],
    user: Of = None,
) -> None:
    """Show one conflict: who changed what, and the choices."""
    database, principal = call.open()
    found = core.show_conflict(database, principal, conflict_id, user_id=user)
    call.mask(found)
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="conflictId",
        columns=_columns([found], look),
        csv_columns=EVERYTHING,
        known=(*EVERYTHING, "age"),
        items=[document(found)],
        rows=_rows(found),
        document=lambda: {"data": document(found), "metadata": call.metadata()},
        text=lambda: _page(found, look),
    )
    show(sheet, look)
    if found.status == "unresolved":
        name = " ".join([shlex.quote(found.pfa_id), *_user(user)])
        call.say(f"next: pfa conflict resolve {name} --take mine (or pems, or --set FIELD=VALUE)")


@command(
    conflict,
    "resolve",
    effect=Effect.WRITES,
    examples=(
        "pfa conflict resolve HOLNG-000123 --take mine",
        "pfa conflict resolve HOLNG-000123 --take pems --take monthlyRate=mine",
        "pfa conflict resolve HOLNG-000123 --set forecastEnd=2027-02-15",
        "pfa conflict resolve --category Crane --take pems --partial",
    ),
    exit_codes="2 a field is not answered; 3 some stay open (--partial); 6 no such conflict;"
    " 7 PEMS moved again, or it is settled; 9 a rule is broken.",
)
def resolve_conflicts(
    call: Call,
    filters: Filters,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Conflicts, or records that have one open."),
    ] = None,
    takes: Annotated[
        list[str] | None,
        typer.Option(
            "--take",
            metavar="[FIELD=]mine|pems",
            help="Whose value: of one field, or of all that are not named.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every open conflict; needed when nothing else selects.")
    ] = False,
    user: Of = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Settle the others when some have to stay open.")
    ] = False,
) -> int:
    """Settle conflicts, all or none: keep mine, take PEMS's value, or set another.

    What is left of the change waits for the next push; where PEMS's values stand, it is gone.
    """
    selection = core.ConflictSelection(tuple(ids or ()), filters, everything)
    decision = _decision(takes or [], assignments or [])
    database, principal = call.open()
    result = core.resolve_conflicts(
        database,
        principal,
        selection,
        decision,
        ownership=core.pems_ownership(call.settings, principal.organization_id),
        user_id=user,
        partial=partial,
        dry_run=call.dry_run,
    )
    call.mask(result)
    return _show_resolved(call, result)


def _decision(takes: Sequence[str], assignments: Sequence[str]) -> core.Decision:
    whole: list[str] = []
    fields: dict[str, str] = {}
    for text in takes:
        name, equals, word = text.rpartition("=")
        if not equals:
            whole.append(word)
        elif not name or name in fields:
            raise InvalidRequest(f"--take {text!r}: {'named twice' if name else 'no field'}")
        else:
            fields[name] = word
    if len(whole) > 1:
        raise InvalidRequest(f"--take {' and --take '.join(whole)} contradict each other")
    return core.Decision(whole[0] if whole else None, fields, core.parse_assignments(assignments))


def _columns(found: Sequence[ConflictView], look: Look) -> tuple[str, ...]:
    """The columns to show: PEMS's value of today and the settlement only where there are any."""
    columns = TABLE if look.format in (Format.TABLE, Format.MARKDOWN) else LINES
    if not any(item.pems_now for item in found):
        columns = tuple(name for name in columns if name != "pemsNow")
    return (*columns, *SETTLED) if any(item.resolution for item in found) else columns


def _rows(item: ConflictView) -> list[dict[str, Any]]:
    about = document(item)
    return [
        {
            **about,
            **document(field),
            "pemsNow": _now(item, field.field),
            "taken": (item.settlement or {}).get(field.field, {}).get("take"),
            "value": (item.settlement or {}).get(field.field, {}).get("value"),
            "age": ago(item.created_at),
        }
        for field in item.fields
    ]


def _now(item: ConflictView, field: str) -> Any:
    """PEMS's value of today as a cell; empty where it is still the recorded one."""
    if field not in item.pems_now:
        return None
    now = item.pems_now[field]
    return "null" if now is None else now


def _page(item: ConflictView, look: Look) -> str:
    from pfa_cli.render.tables import facts, grid

    columns = [name for name in _columns([item], look) if name not in ("pfaId", "sessionId", "age")]
    cells = [[row.get(name) for name in columns] for row in _rows(item)]
    pairs = [
        ("conflict", item.conflict_id),
        ("found", ago(item.created_at)),
        ("changed by", item.modified_by),
        ("session", item.session_id),
        ("reason", item.change_reason),
        ("settled", item.resolution and f"{item.resolution}, by {item.resolved_by}"),
    ]
    there = [(name, value) for name, value in pairs if value]
    parts = [f"{visible(item.pfa_id)}: {item.status}", facts(there), grid(columns, cells, look)]
    if item.pems_now:
        moved = ", ".join(f"{name} {plain(value)}" for name, value in item.pems_now.items())
        parts.append(visible(f"PEMS has moved again since: {moved}"))
    return "\n\n".join(parts)


def _show_resolved(call: Call, result: ResolveResult) -> int:
    items = [document(item) for item in result.resolved]
    show_records(
        call,
        items,
        lambda: {
            "resolvedCount": len(items),
            "resolved": items,
            "problems": [fault_document(fault) for fault in result.problems],
            "metadata": {"resolveTime": call.milliseconds, **call.mark},
        },
        columns=RESOLVED,
        all_columns=("conflictId", *RESOLVED, "modificationId", "delta"),
    )
    waiting = sum(item.state == "committed" for item in result.resolved)
    tell(
        call,
        f"{count(len(items), 'conflict')} settled: {waiting:,} committed again,"
        f" {len(items) - waiting:,} gone",
    )
    if waiting and not call.dry_run:
        call.say("next: pfa sync push")
    if not result.problems:
        return 0
    code = BaselineConflict.code
    if all(fault.code != code for fault in result.problems):
        code = InvalidData.code
    left = count(len({fault.pfa_id for fault in result.problems}), "conflict")
    return call.partly_done(f"{left} stayed open, {len(items):,} settled", code, result.problems)


def _tell_next(call: Call, found: Sequence[ConflictView], status: str, user: str | None) -> None:
    still_open = [item for item in found if item.status == "unresolved"]
    if not found:
        call.say(f"no {'' if status == 'all' else status + ' '}conflicts here")
    elif still_open:
        name = " ".join([shlex.quote(still_open[0].pfa_id), *_user(user)])
        call.say(f"{count(len(still_open), 'open conflict')}; next: pfa conflict show {name}")


def _user(user: str | None) -> list[str]:
    return ["--user", shlex.quote(user)] if user else []
