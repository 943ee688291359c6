"""`pfa session`: the sessions of drafts, and the current one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import SESSION
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.config.choices import drop_unreadable
from pfa_core.errors import InvalidRequest
from pfa_core.model.modification import State

if TYPE_CHECKING:
    from pfa_core.status_summary import SessionStatus

app = typer.Typer(rich_markup_mode=None)
session = group(app, "session", "Manage sessions of drafts: list them, choose the current one.")
_COLUMNS = ("sessionId", "state", "records", "lastChange", "overtaken", "current")
_CURRENT = ("sessionId", "source", "records")


@command(
    session,
    "use",
    effect=Effect.IMMEDIATE,
    examples=("pfa session use weather-silo4", "pfa session use --none"),
    columns=_CURRENT,
)
def use(
    call: Invocation,
    talk: Talk,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The session; it may be a new one.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Work in no session any more.")] = False,
) -> None:
    """Choose the session that drafts are saved in, shown and committed from.

    It counts for draft save, set, shift, unset and list, diff, commit, uncommit, discard and restore where you
    name neither a session, nor records, nor --all; a file that names its own session keeps it. The choice is
    kept for you, your organization, profile and database, and counts on a terminal alone: jobs of yours go on
    as before. PFA_SESSION counts everywhere and wins over it; options win over both.
    """
    if (name is None) != none:
        raise InvalidRequest(
            "give either a session or --none", hint="type: pfa session use NAME, or --none"
        )
    if none:
        drop_unreadable(os.environ)
        core.use_session(call.settings, call.principal, None)
        call.note_stored()
        _show(_facts(None, "", 0), call.look(Format.TABLE))
        return
    database, principal = call.open()
    sessions = core.status(database, principal).sessions
    core.use_session(call.settings, principal, name)
    call.note_stored()
    call.learn(SESSION, [name or ""])
    records = _records(sessions, name)
    item = _facts(name, "pfa session use", records)
    _show(item, call.look(Format.TABLE))
    if not records:
        _say_new(talk, name or "", sessions)
    if call.session and call.session.session_id != name:
        talk.hint(f"{call.session.source} is set to {call.session.session_id} and wins over it")


@command(session, "show", columns=_CURRENT)
def show_current(call: Invocation, talk: Talk) -> None:
    """Show the current session and what named it.

    In a pipe too it shows the choice of pfa session use, which counts on terminals alone.
    """
    database, principal = call.open()
    current = core.current_session(call.settings, principal)
    sessions = core.status(database, principal).sessions
    found = current.session_id if current else None
    item = _facts(found, current.source if current else "", _records(sessions, found))
    _show(item, call.look(Format.TABLE, answers=True))
    if current is None:
        talk.hint("choose one: pfa session use NAME")


@command(session, "list", columns=_COLUMNS)
def list_sessions(call: Invocation, talk: Talk) -> None:
    """List your sessions that are not wholly in PEMS yet, by state.

    The current session is shown without drafts too.
    """
    database, principal = call.open()
    sessions = core.status(database, principal).sessions
    current = core.current_session(call.settings, principal)
    name = current.session_id if current else None
    items = [{**document(item), "current": item.session_id == name} for item in sessions]
    if name and not any(item["current"] for item in items):
        items.append(_without_drafts(name))
    call.learn(SESSION, (item["sessionId"] for item in items), whole=True)
    sheet = Sheet(
        id_column="sessionId",
        columns=_COLUMNS,
        ranked=("sessionId", "state", "records", "current", "lastChange", "overtaken"),
        items=items,
        envelope=Data(items, metadata(call, talk)),
    )
    show(sheet, call.look(Format.TSV))
    if not items:
        talk.hint("no sessions; a draft begins one: pfa draft set ID FIELD=VALUE --into NAME")


def _show(item: dict[str, Any], look: Look) -> None:
    show_facts(item, look, id_column="sessionId", without="no current session")


def _facts(name: str | None, source: str, records: int) -> dict[str, Any]:
    return {"sessionId": name, "source": source, "records": records}


def _without_drafts(name: str) -> dict[str, Any]:
    return {
        "sessionId": name,
        "state": State.PRISTINE,
        "records": 0,
        "lastChange": None,
        "overtaken": 0,
        "current": True,
    }


def _records(sessions: Sequence[SessionStatus], name: str | None) -> int:
    return sum(item.records for item in sessions if item.session_id == name)


def _say_new(talk: Talk, name: str, sessions: Sequence[SessionStatus]) -> None:
    from pfa_core.model.suggest import did_you_mean

    like = did_you_mean(name, [item.session_id for item in sessions])
    talk.hint(f"there are no drafts in {name} yet{like}")
