"""The current session: the one that a user works in without naming it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pfa_core.config import choices
from pfa_core.config.environment import environment_text
from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidRequest
from pfa_core.model.ids import SessionId
from pfa_core.model.principal import Principal

VARIABLE = "PFA_SESSION"
CHOICE = "pfa session use"


@dataclass(frozen=True, slots=True)
class CurrentSession:
    """A session, and what named it: PFA_SESSION or `pfa session use`."""

    session_id: SessionId
    source: str


def current_session(
    settings: Settings,
    principal: Principal,
    *,
    stored: bool = True,
    environ: Mapping[str, str] | None = None,
) -> CurrentSession | None:
    """Return the user's current session, None where there is none.

    Args:
        stored: A stored choice counts; else the environment alone.
        environ: That of the process, where none is given.

    Raises:
        ConfigInvalid: The stored choice cannot be read, or PFA_SESSION is not UTF-8.
        InvalidRequest: PFA_SESSION is not the name of a session.
    """
    environ = os.environ if environ is None else environ
    if named := environment_text(environ, VARIABLE):
        _require_session(named)
        return CurrentSession(SessionId(named), VARIABLE)
    if not stored:
        return None
    found = choices.chosen(choices.SESSION, _place(settings, principal, environ), environ)
    return CurrentSession(SessionId(found), CHOICE) if found else None


def use_session(
    settings: Settings,
    principal: Principal,
    session_id: str | None,
    *,
    environ: Mapping[str, str] | None = None,
) -> bool:
    """Store the user's current session, or with None none.

    Returns whether that changed anything. It is that of the user in this organization, profile and database.

    Raises:
        InvalidRequest: Not the name of a session, or one that cannot be shown on a line.
        IoFailure, ConfigInvalid: It cannot be written.
    """
    if session_id is not None:
        _require_session(session_id)
    if session_id is not None and not session_id.isprintable():
        raise InvalidRequest("a current session must be a text on one line")
    environ = os.environ if environ is None else environ
    return choices.choose(
        choices.SESSION, _place(settings, principal, environ), session_id, environ
    )


def _require_session(name: str) -> None:
    # Loaded when it is needed: it brings what a save does with it.
    from pfa_core.drafts.save import require_session

    require_session(name)


def _place(settings: Settings, principal: Principal, environ: Mapping[str, str]) -> tuple[str, ...]:
    place = choices.place_of(settings.profile, settings.database_url, environ)
    return (*place, principal.organization_id, principal.user_id)
