"""`pfa conflict list`, `show` and `resolve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.problems import problems
from pfa_cli.envelopes.writes import Resolved, ResolveMetadata
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.filters import FilterOptions, require_selecting
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import CONFLICT, learn_ids
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.next_push import say_next_push
from pfa_cli.framework.override import Override, say_overridden
from pfa_cli.framework.paging import Limit, sort_keys, sort_option
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.conflicts import EVERYTHING, conflict_columns, conflict_page, conflict_rows
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import BaselineConflict, InvalidData, InvalidRequest
from pfa_core.model import shell
from pfa_core.model.decision import ConflictStatus
from pfa_core.model.modification import State
from pfa_core.model.ordering import CONFLICTS
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.conflicts.resolve import ResolveResult
    from pfa_core.conflicts.views import ConflictView

app = typer.Typer(rich_markup_mode=None)
conflict = group(app, "conflict", "Resolve fields changed both in PEMS and by you.")

RESOLVED = ("pfaId", "resolution", "state", "version")
RESOLVED_CSV = ("conflictId", *RESOLVED, "modificationId", "delta")
_KNOWN = (*EVERYTHING, "age")

Of = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="Conflicts of this member; requires manage_users."),
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
    columns=_KNOWN,
)
def list_conflicts(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help="unresolved, resolved, all.")
    ] = "unresolved",
    user: Of = None,
    limit: Limit = None,
    sort: Annotated[str, sort_option(CONFLICTS)] = CONFLICTS.default,
) -> None:
    """List the fields in conflict, newest first: former value, yours, PEMS's."""
    database, principal = call.open()
    found = core.list_conflicts(
        database,
        principal,
        filters,
        status=status,
        user_id=user,
        limit=limit,
        sort=sort_keys(sort),
    )
    talk.mask(*found)
    call.learn(CONFLICT, (item.conflict_id for item in found))
    learn_ids(call, (item.pfa_id for item in found))
    look = call.look(Format.TSV)
    sheet = Sheet(
        id_column="conflictId",
        columns=conflict_columns(found, look),
        csv_columns=EVERYTHING,
        ranked=("pfaId", "field", "mine", "pems", "pemsNow", "base", "age"),
        items=map(document, found),
        rows=[row for item in found for row in conflict_rows(item)],
        envelope=Data(found, metadata(call, talk, filters=filters, total_records=len(found))),
    )
    show(sheet, look)
    _say_next(talk, found, status, user)
    if not found:
        hint_nothing_found(call, talk, filters, "")


@command(
    conflict,
    "show",
    examples=("pfa conflict show HOLNG-000123", "pfa conflict show HOLNG-000123 -o json"),
    exit_codes="5 --user without the right to manage users; 6 no such conflict.",
    columns=_KNOWN,
)
def show_conflict(
    call: Invocation,
    talk: Talk,
    *,
    conflict_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The conflict, or a record with an open one."),
    ],
    user: Of = None,
) -> None:
    """Show one conflict: who changed what, and the choices."""
    database, principal = call.open()
    found = core.show_conflict(database, principal, conflict_id, user_id=user)
    talk.mask(found)
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="conflictId",
        columns=conflict_columns([found], look),
        csv_columns=EVERYTHING,
        items=[document(found)],
        rows=conflict_rows(found),
        envelope=Data(found, metadata(call, talk)),
        text=lambda: conflict_page(found, look),
    )
    show(sheet, look)
    if found.status is ConflictStatus.OPEN:
        typed = _typed("resolve", found, user, "--take mine")
        talk.say(f"next: {typed} (or pems, or --set FIELD=VALUE)")


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
    exit_codes="2 a field has no resolution; 3 some stay open (--partial); 6 no such conflict;"
    " 7 PEMS changed again, it is resolved, or a limit is exceeded; 9 a rule is broken.",
    columns=RESOLVED_CSV,
)
def resolve_conflicts(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Conflicts, or records with an open one."),
    ] = None,
    takes: Annotated[
        list[str] | None,
        typer.Option(
            "--take",
            metavar="[FIELD=]mine|pems",
            help="Value to keep: of one field, or of all fields that are not named.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every open conflict; required when nothing else selects."),
    ] = False,
    user: Of = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Resolve the others when some must stay open.")
    ] = False,
    override: Override = None,
) -> int:
    """Resolve conflicts, all or none: keep yours, take PEMS's value, or set another.

    A change that remains waits for the next push; one that PEMS's values replace entirely is dropped.
    """
    require_selecting(call.view, filters)
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
        guards=core.profile_guards(call.settings),
        override=override,
        dry_run=call.dry_run,
    )
    talk.mask(result)
    say_overridden(talk, result.overridden, override)
    return _show_resolved(call, talk, result)


def _decision(takes: Sequence[str], assignments: Sequence[str]) -> core.Decision:
    whole: list[str] = []
    fields: dict[str, str] = {}
    for text in takes:
        name, equals, word = text.rpartition("=")
        if not equals:
            whole.append(word)
        elif not name or name in fields:
            problem = "field given twice" if name else "no field before ="
            raise InvalidRequest(f"invalid --take {text!r}: {problem}")
        else:
            fields[name] = word
    if len(whole) > 1:
        raise InvalidRequest(f"--take {' and --take '.join(whole)} cannot be combined")
    return core.Decision(whole[0] if whole else None, fields, core.parse_assignments(assignments))


def _show_resolved(call: Invocation, talk: Talk, result: ResolveResult) -> int:
    number = len(result.resolved)
    show_records(
        result.resolved,
        call.look(Format.TABLE),
        number=number,
        envelope=Resolved(
            number,
            result.resolved,
            problems(result.problems),
            ResolveMetadata(call.milliseconds, talk.masked or None),
        ),
        columns=RESOLVED,
        all_columns=RESOLVED_CSV,
    )
    waiting = sum(item.state is State.COMMITTED for item in result.resolved)
    talk.done(
        f"{count(number, 'conflict')} resolved: {waiting:,} re-queued, {number - waiting:,} dropped"
    )
    if waiting and not call.dry_run:
        say_next_push(call, talk, suspended=result.suspended)
    if not result.problems:
        return 0
    conflicting = any(fault.code == BaselineConflict.code for fault in result.problems)
    code = BaselineConflict.code if conflicting else InvalidData.code
    left = count(len({fault.pfa_id for fault in result.problems}), "conflict")
    return talk.partly_done(f"{left} still open, {number:,} resolved", code, result.problems)


def _say_next(talk: Talk, found: Sequence[ConflictView], status: str, user: str | None) -> None:
    still_open = [item for item in found if item.status is ConflictStatus.OPEN]
    if not found:
        talk.say("no conflicts" if status == "all" else f"no {status} conflicts")
    elif still_open:
        typed = _typed("show", still_open[0], user)
        talk.say(f"{count(len(still_open), 'open conflict')}; next: {typed}")


def _typed(command: str, item: ConflictView, user: str | None, options: str = "") -> str:
    """Write a command for a conflict as it is typed."""
    whose = f"--user {shell.word(user)}" if user else ""
    options = " ".join(filter(None, (whose, options)))
    return shell.command(f"pfa conflict {command}", [item.pfa_id], options)
