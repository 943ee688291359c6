"""The current session in place of one that is not named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_core.errors import ConfigInvalid
from pfa_core.model.query import Filters

AllSessions = Annotated[
    bool, typer.Option("--all", help="Of all your sessions, not of the current one alone.")
]


def session_or_current(
    call: Invocation, talk: Talk, session: str | None, *, otherwise: bool = False
) -> str | None:
    """Return the session that was named, else the current one, and say so.

    Args:
        otherwise: The command line selects in another way; there is no need of a session.
    """
    if session or otherwise:
        return session
    current = call.session
    if current is None:
        _say_not_applied(call, talk)
        return None
    if call.is_attended:
        talk.say(f"session {current.session_id} ({current.source})")
    return current.session_id


def within_current(
    call: Invocation, talk: Talk, filters: Filters, *, otherwise: bool = False
) -> Filters:
    """Narrow filters to the current session, unless they name a session or records."""
    named = otherwise or bool(filters.session or filters.id)
    session = session_or_current(call, talk, None, otherwise=named)
    return replace(filters, session=(session,)) if session else filters


def hint_other_sessions(call: Invocation, talk: Talk, states: Sequence[str], command: str) -> bool:
    """Suggest --all where sessions besides the current one have drafts.

    Args:
        states: The states that the command looks for.

    Returns:
        Whether there was something to suggest.
    """
    if talk.quiet or call.session is None:
        return False
    sessions = core.status(call.database, call.principal).sessions
    found = any(
        item.state in states and item.session_id != call.session.session_id for item in sessions
    )
    if found:
        talk.hint(f"type: {command} --all")
    return found


def _say_not_applied(call: Invocation, talk: Talk) -> None:
    """Say that a choice is left out, which would have counted on a terminal."""
    if call.is_attended or talk.quiet or not call.has_choices:
        return
    try:
        chosen = core.current_session(call.settings, call.principal)
    except ConfigInvalid:  # of a file that does not count here
        return
    if chosen:
        talk.say(
            f"note: without a terminal the current session {chosen.session_id} does not count;"
            " name it with --session or PFA_SESSION"
        )
