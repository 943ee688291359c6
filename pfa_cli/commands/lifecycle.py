"""`pfa commit`, `uncommit` and `discard`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.commands.proposal import propose
from pfa_cli.commands.selection import (
    VERSIONS,
    Everything,
    Given,
    Ids,
    Session,
    ViewName,
    Where,
)
from pfa_cli.envelopes.writes import (
    CommitMetadata,
    Committed,
    Discarded,
    DiscardMetadata,
    UncommitMetadata,
    Uncommitted,
)
from pfa_cli.exit_codes import INTERRUPTED
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.consent import is_asked
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.next_push import say_next_push
from pfa_cli.framework.override import Override, say_overridden
from pfa_cli.framework.talk import Talk
from pfa_cli.framework.text_files import read_text
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import BaselineConflict, InvalidData, InvalidRequest
from pfa_core.model import shell

if TYPE_CHECKING:
    from pfa_core.drafts.commit import CommitResult
    from pfa_core.drafts.plan import CommitPlan

app = typer.Typer(rich_markup_mode=None)
_LARGEST_PLAN = 64 << 20  # bytes; `core.plan_commit` makes none of more than a third


@command(
    app,
    "commit",
    effect=Effect.WRITES,
    examples=(
        "pfa commit --session weather-silo4",
        "pfa commit --where 'category = Crane' --dry-run",
        "pfa commit --view cranes",
        "pfa commit --plan plan.json",
    ),
    exit_codes="3 some are in conflict (--partial); 5 --override without the right override_guards; 6 no drafts;"
    " 7 PEMS changed the same fields, something is not as planned, or a limit is exceeded;"
    " 130 the answer was no.",
    columns=VERSIONS,
)
def commit(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    where: Where = None,
    view: ViewName = None,
    everything: Everything = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Commit the others when some are in conflict.")
    ] = False,
    plan_file: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="What pfa plan wrote, and nothing else."),
    ] = None,
    override: Override = None,
) -> int:
    """Commit drafts, all or none; they wait for the next push.

    Without --session, --id, --where, --view, --all or a current session it is all of your drafts: in a terminal
    they are named first, by session, and you are asked. Limits on records, money and per cent: pfa org set, and
    pfa config set guard.max_records.
    """
    given = Given(session=session, ids=ids, where=where, view=view, everything=everything)
    if plan_file is not None:
        _require_alone(plan_file, given, partial=partial)
        plan = _read(plan_file)
        selection, selected = core.selection_of(plan), True
    else:
        plan = None
        selection = given.chosen(call, talk)
        selected = not selection.empty
        selection = selection if selected else core.Selection(everything=True)
    if not selected and is_asked():
        proposed = propose(call, talk)
        if proposed is None:
            talk.say("nothing was committed; one session: pfa commit --session NAME")
            return INTERRUPTED
        selection = proposed
    database, principal = call.open()
    result = core.commit(
        database,
        principal,
        selection,
        partial=partial,
        ownership=core.pems_ownership(call.settings, principal.organization_id),
        plan=plan,
        guards=core.profile_guards(call.settings),
        override=override,
        dry_run=call.dry_run,
    )
    show_records(
        result.committed,
        call.look(Format.TABLE),
        number=len(result.committed),
        envelope=_committed(result, call.milliseconds),
        columns=VERSIONS,
    )
    say_overridden(talk, result.overridden, override)
    _say_committed(call, talk, result)
    if not result.problems:
        return 0
    return talk.partly_done(
        f"{count(len({fault.pfa_id for fault in result.problems}), 'draft')} not committed,"
        f" {len(result.committed):,} committed",
        BaselineConflict.code if result.conflicts else InvalidData.code,
        result.problems,
    )


def _require_alone(path: Path, given: Given, *, partial: bool) -> None:
    """Refuse a selection beside a plan, which is one."""
    others = (given.session, given.ids, given.where, given.view, given.everything, partial)
    if any(one not in (None, False, []) for one in others):
        raise InvalidRequest(
            "--plan says what is committed; no other selection and no --partial beside it",
            hint=f"type: pfa commit --plan {shell.file(path)}",
        )


def _read(path: Path) -> CommitPlan:
    text = read_text(path, "a plan", _LARGEST_PLAN)
    return core.read_plan(text, str(path))


@command(
    app,
    "uncommit",
    effect=Effect.WRITES,
    examples=("pfa uncommit --session weather-silo4",),
    exit_codes="2 nothing selected; 6 nothing committed; 7 already sent, or drafted again.",
    columns=VERSIONS,
)
def uncommit(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    where: Where = None,
    view: ViewName = None,
    everything: Everything = False,
) -> None:
    """Turn committed changes back into drafts before they are sent."""
    given = Given(session=session, ids=ids, where=where, view=view, everything=everything)
    selection = given.required(call, talk, "uncommit")
    database, principal = call.open()
    result = core.uncommit(database, principal, selection, dry_run=call.dry_run)
    number = len(result.uncommitted)
    show_records(
        result.uncommitted,
        call.look(Format.TABLE),
        number=number,
        envelope=Uncommitted(
            result.session_id, number, result.uncommitted, UncommitMetadata(call.milliseconds)
        ),
        columns=VERSIONS,
    )
    talk.done(
        f"{count(number, 'change')} turned back into {'a draft' if number == 1 else 'drafts'}"
    )


@command(
    app,
    "discard",
    effect=Effect.WRITES,
    examples=(
        "pfa discard --session weather-silo4",
        "pfa discard --id HOLNG-000123 --id HOLNG-000124",
    ),
    exit_codes="2 nothing selected; 6 no such session; 7 the session is committed.",
    columns=("pfaId",),
)
def discard(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    where: Where = None,
    view: ViewName = None,
    everything: Everything = False,
) -> None:
    """Discard drafts; the audit trail keeps their content."""
    given = Given(session=session, ids=ids, where=where, view=view, everything=everything)
    selection = given.required(call, talk, "discard")
    database, principal = call.open()
    result = core.discard(database, principal, selection, dry_run=call.dry_run)
    number = len(result.discarded)
    show_records(
        ({"pfaId": pfa_id} for pfa_id in result.discarded),
        call.look(Format.TABLE),
        number=number,
        envelope=Discarded(number, result.discarded, DiscardMetadata(call.milliseconds)),
        columns=("pfaId",),
    )
    if result.already_discarded:
        talk.say(f"session {selection.session_id} is already discarded")
    else:
        talk.done(f"{count(number, 'draft')} discarded")


def _committed(result: CommitResult, milliseconds: float) -> Committed:
    return Committed(
        session_id=result.session_id,
        committed_count=len(result.committed),
        committed=result.committed,
        conflicts=result.conflicts,
        metadata=CommitMetadata(
            milliseconds, result.already_committed, result.settled, result.kept
        ),
    )


def _say_committed(call: Invocation, talk: Talk, result: CommitResult) -> None:
    if result.already_committed and not result.committed:
        talk.say(
            f"session {result.session_id} is already committed:"
            f" {count(result.already_committed, 'change')}"
        )
        return
    talk.done(f"{count(len(result.committed), 'draft')} committed")
    if result.committed and not call.dry_run:
        over = " --override REASON" if result.overridden else ""  # a push is held to the limits too
        say_next_push(call, talk, suspended=result.suspended, options=over)
    kept = {item.pfa_id for item in result.kept}
    if agreed := [pfa_id for pfa_id in result.settled if pfa_id not in kept]:
        whose = "its" if len(agreed) == 1 else "their"
        talk.say(f"{count(len(agreed), 'draft')} removed: PEMS already has {whose} values")
    if kept:
        _say_kept(talk, result)


def _say_kept(talk: Talk, result: CommitResult) -> None:
    """Say which values of PEMS won, and how the drafted ones come back."""
    fields = sorted({name for item in result.kept for name in item.fields})
    records = count(len(result.kept), "record")
    talk.say(f"PEMS keeps its {', '.join(fields)} in {records}: it owns these fields")
    if result.session_id:
        again = f"pfa restore --session {shell.word(result.session_id)}"
    elif len(result.kept) == 1:
        again = f"pfa restore --id {shell.word(result.kept[0].pfa_id)}"
    else:
        again = "pfa log --action settle"
    talk.hint(f"what was drafted there is kept, type: {again}")
