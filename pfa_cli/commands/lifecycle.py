"""`pfa commit`, `uncommit`, `discard` and `restore`: what becomes of drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command
from pfa_cli.render.changes import show_records, tell
from pfa_cli.render.failures import fault_document
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_core.errors import BaselineConflict, InvalidData, InvalidRequest

if TYPE_CHECKING:
    from pfa_core.drafts.commit import CommitResult
    from pfa_core.drafts.restore import RestoreResult
    from pfa_core.drafts.selection import Selection

app = typer.Typer(rich_markup_mode=None)
VERSIONS = ("pfaId", "modificationId", "version")

Session = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Of this session.")]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="PFA_ID", help="Of this record; may be repeated."),
]
Everything = Annotated[bool, typer.Option("--all", help="All of mine in the organization.")]


@command(
    app,
    "commit",
    effect=Effect.WRITES,
    examples=("pfa commit --session weather-silo4", "pfa commit --dry-run"),
    exit_codes="3 some are in conflict (--partial); 6 no drafts; 7 PEMS changed the same fields.",
)
def commit(
    call: Call,
    *,
    session: Session = None,
    ids: Ids = None,
    everything: Everything = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Commit the others when some are in conflict.")
    ] = False,
) -> int:
    """Commit drafts, all or none: they wait for the next push. Without --session: all of mine."""
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
    committed = [document(item) for item in result.committed]
    show_records(
        call, committed, lambda: _commit_document(call, result, committed), columns=VERSIONS
    )
    _tell_committed(call, result)
    if not result.problems:
        return 0
    return call.partly_done(
        f"{count(len({fault.pfa_id for fault in result.problems}), 'draft')} stayed behind,"
        f" {len(committed):,} committed",
        BaselineConflict.code if result.conflicts else InvalidData.code,
        result.problems,
    )


@command(
    app,
    "uncommit",
    effect=Effect.WRITES,
    examples=("pfa uncommit --session weather-silo4",),
    exit_codes="2 nothing selected; 6 nothing committed; 7 sent already, or drafted anew.",
)
def uncommit(
    call: Call,
    *,
    session: Session = None,
    ids: Ids = None,
    everything: Everything = False,
) -> None:
    """Turn committed modifications back into drafts, while nothing was sent."""
    selection = _required_selection("uncommit", session, ids, everything=everything)
    database, principal = call.open()
    result = core.uncommit(database, principal, selection, dry_run=call.dry_run)
    items = [document(item) for item in result.uncommitted]
    show_records(
        call,
        items,
        lambda: {
            "sessionId": result.session_id,
            "uncommittedCount": len(items),
            "uncommitted": items,
            "metadata": {"uncommitTime": call.milliseconds},
        },
        columns=VERSIONS,
    )
    tell(call, f"{count(len(items), 'modification')} turned back into drafts")


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
    call: Call,
    *,
    session: Session = None,
    ids: Ids = None,
    everything: Everything = False,
) -> None:
    """Drop drafts; the audit trail keeps what they said."""
    selection = _required_selection("discard", session, ids, everything=everything)
    database, principal = call.open()
    result = core.discard(database, principal, selection, dry_run=call.dry_run)
    items = [{"pfaId": pfa_id} for pfa_id in result.discarded]
    show_records(
        call,
        items,
        lambda: {
            "discardedCount": len(items),
            "discarded": result.discarded,
            "metadata": {"discardTime": call.milliseconds},
        },
        columns=("pfaId",),
    )
    if result.already_discarded:
        call.say(f"session {session} was discarded before")
    else:
        tell(call, f"{count(len(items), 'draft')} dropped")


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
    " discarded; 7 a record has a draft; 9 the baseline moved so that a rule is broken.",
)
def restore(
    call: Call,
    *,
    session: Session = None,
    ids: Ids = None,
    entries: Annotated[
        list[str] | None,
        typer.Option(
            "--entry", metavar="ENTRY_ID", help="Of this entry of pfa log; may be repeated."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Restore the others when some cannot be.")
    ] = False,
) -> int:
    """Make discarded drafts drafts again, all or none: of each record the newest of mine."""
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
    items = [document(item) for item in result.restored]
    show_records(call, items, lambda: _restore_document(call, result, items), columns=VERSIONS)
    tell(call, f"{count(len(items), 'draft')} restored")
    if result.already_restored:
        call.say(f"{count(len(result.already_restored), 'draft')} had been restored before")
    if not result.errors:
        return 0
    message = f"{count(len(result.errors), 'problem')}, {len(items):,} restored"
    return call.partly_done(message, InvalidData.code, result.errors)


def _restore_document(
    call: Call, result: RestoreResult, items: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "restoredCount": len(items),
        "restored": items,
        "alreadyRestored": result.already_restored,
        "errors": [fault_document(fault) for fault in result.errors],
        "metadata": {"restoreTime": call.milliseconds},
    }


def _selection(session: str | None, ids: list[str] | None, *, everything: bool) -> Selection:
    if everything and (session or ids):
        raise InvalidRequest("--all and a narrower selection contradict each other")
    return core.Selection(session_id=session, ids=tuple(ids or ()), everything=everything)


def _required_selection(
    verb: str, session: str | None, ids: list[str] | None, *, everything: bool
) -> Selection:
    if not (session or ids or everything):
        raise InvalidRequest(f"what to {verb}?", hint="give --session NAME, --id PFA_ID or --all")
    return _selection(session, ids, everything=everything)


def _commit_document(
    call: Call, result: CommitResult, committed: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "sessionId": result.session_id,
        "committedCount": len(committed),
        "committed": committed,
        "conflicts": [document(conflict) for conflict in result.conflicts],
        "metadata": {
            "commitTime": call.milliseconds,
            "alreadyCommitted": result.already_committed,
            "settled": result.settled,
        },
    }


def _tell_committed(call: Call, result: CommitResult) -> None:
    if result.already_committed and not result.committed:
        call.say(
            f"session {result.session_id} is committed already:"
            f" {count(result.already_committed, 'modification')}"
        )
        return
    tell(call, f"{count(len(result.committed), 'draft')} committed")
    if result.settled:
        call.say(f"{count(len(result.settled), 'draft')} gone: PEMS has their values by now")
