"""`pfa commit`, `uncommit`, `discard` and `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.base import problems
from pfa_cli.envelopes.writes import (
    CommitMetadata,
    Committed,
    Discarded,
    DiscardMetadata,
    Restored,
    RestoreMetadata,
    UncommitMetadata,
    Uncommitted,
)
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_core.errors import BaselineConflict, InvalidData, InvalidRequest

if TYPE_CHECKING:
    from pfa_core.drafts.commit import CommitResult
    from pfa_core.drafts.selection import Selection

app = typer.Typer(rich_markup_mode=None)
VERSIONS = ("pfaId", "modificationId", "version")

Session = Annotated[
    str | None, typer.Option("--session", metavar="NAME", help="Only this session.")
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="PFA_ID", help="Only this record; may be repeated."),
]
Everything = Annotated[bool, typer.Option("--all", help="All of yours in the organization.")]


@command(
    app,
    "commit",
    effect=Effect.WRITES,
    examples=("pfa commit --session weather-silo4", "pfa commit --dry-run"),
    exit_codes="3 some are in conflict (--partial); 6 no drafts; 7 PEMS changed the same fields.",
)
def commit(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    everything: Everything = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Commit the others when some are in conflict.")
    ] = False,
) -> int:
    """Commit drafts, all or none; they wait for the next push.

    Without --session or --id all of your drafts are committed.
    """
    selection = _selection(session, ids, everything=everything or not (session or ids))
    database, principal = call.open()
    result = core.commit(
        database,
        principal,
        selection,
        partial=partial,
        ownership=core.pems_ownership(call.settings, principal.organization_id),
        dry_run=call.dry_run,
    )
    show_records(
        [document(item) for item in result.committed],
        call.look(Format.TABLE),
        envelope=_committed(result, call.milliseconds),
        columns=VERSIONS,
    )
    _say_committed(talk, result)
    if not result.problems:
        return 0
    return talk.partly_done(
        f"{count(len({fault.pfa_id for fault in result.problems}), 'draft')} not committed,"
        f" {len(result.committed):,} committed",
        BaselineConflict.code if result.conflicts else InvalidData.code,
        result.problems,
    )


@command(
    app,
    "uncommit",
    effect=Effect.WRITES,
    examples=("pfa uncommit --session weather-silo4",),
    exit_codes="2 nothing selected; 6 nothing committed; 7 already sent, or drafted again.",
)
def uncommit(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    everything: Everything = False,
) -> None:
    """Turn committed modifications back into drafts before they are sent."""
    selection = _required_selection("uncommit", session, ids, everything=everything)
    database, principal = call.open()
    result = core.uncommit(database, principal, selection, dry_run=call.dry_run)
    number = len(result.uncommitted)
    show_records(
        [document(item) for item in result.uncommitted],
        call.look(Format.TABLE),
        envelope=Uncommitted(
            result.session_id, number, result.uncommitted, UncommitMetadata(call.milliseconds)
        ),
        columns=VERSIONS,
    )
    talk.done(f"{count(number, 'modification')} turned back into drafts")


@command(
    app,
    "discard",
    effect=Effect.WRITES,
    examples=(
        "pfa discard --session weather-silo4",
        "pfa discard --id HOLNG-000123 --id HOLNG-000124",
    ),
    exit_codes="2 nothing selected; 6 no such session; 7 the session is committed.",
)
def discard(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    everything: Everything = False,
) -> None:
    """Discard drafts; the audit trail keeps their content."""
    selection = _required_selection("discard", session, ids, everything=everything)
    database, principal = call.open()
    result = core.discard(database, principal, selection, dry_run=call.dry_run)
    number = len(result.discarded)
    show_records(
        [{"pfaId": pfa_id} for pfa_id in result.discarded],
        call.look(Format.TABLE),
        envelope=Discarded(number, result.discarded, DiscardMetadata(call.milliseconds)),
        columns=("pfaId",),
    )
    if result.already_discarded:
        talk.say(f"session {session} is already discarded")
    else:
        talk.done(f"{count(number, 'draft')} discarded")


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
    """Restore discarded drafts, all or none; the newest of each record."""
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
    items = [document(item) for item in result.restored]
    show_records(items, call.look(Format.TABLE), envelope=envelope, columns=VERSIONS)
    talk.done(f"{count(number, 'draft')} restored")
    if result.already_restored:
        talk.say(f"{count(len(result.already_restored), 'draft')} already restored before")
    if not result.errors:
        return 0
    message = f"{count(len(result.errors), 'problem')}, {number:,} restored"
    return talk.partly_done(message, InvalidData.code, result.errors)


def _selection(session: str | None, ids: list[str] | None, *, everything: bool) -> Selection:
    if everything and (session or ids):
        raise InvalidRequest("--all cannot be combined with another selection")
    return core.Selection(session_id=session, ids=tuple(ids or ()), everything=everything)


def _required_selection(
    verb: str, session: str | None, ids: list[str] | None, *, everything: bool
) -> Selection:
    if not (session or ids or everything):
        raise InvalidRequest(
            f"nothing to {verb} is selected", hint="give --session NAME, --id PFA_ID or --all"
        )
    return _selection(session, ids, everything=everything)


def _committed(result: CommitResult, milliseconds: float) -> Committed:
    return Committed(
        session_id=result.session_id,
        committed_count=len(result.committed),
        committed=result.committed,
        conflicts=result.conflicts,
        metadata=CommitMetadata(milliseconds, result.already_committed, result.settled),
    )


def _say_committed(talk: Talk, result: CommitResult) -> None:
    if result.already_committed and not result.committed:
        talk.say(
            f"session {result.session_id} is already committed:"
            f" {count(result.already_committed, 'modification')}"
        )
        return
    talk.done(f"{count(len(result.committed), 'draft')} committed")
    if result.settled:
        talk.say(f"{count(len(result.settled), 'draft')} removed: PEMS already has their values")
