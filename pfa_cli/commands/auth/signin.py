"""`pfa auth login`, `status` and `logout`."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.auth.group import auth
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import span
from pfa_cli.render.json import document
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, InvalidRequest

_COLUMNS = ("userId", "tokenId", "organizations", "rights", "issuedAt", "expiresAt", "source", "valid",
            "expiresIn")  # fmt: skip


@command(
    auth,
    "login",
    effect=Effect.IMMEDIATE,
    examples=(
        "pfa auth login anna.token",
        "ssh admin pfa auth issue --user anna --org HOLNG | pfa auth login",
    ),
    exit_codes="4 the token is not valid; 7 the file to store it in holds something else than a token.",
    columns=_COLUMNS,
)
def login(
    call: Invocation,
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="File with the token; - is standard input.")
    ] = "-",
) -> None:
    """Store a token for later commands, in a file that only you can read."""
    info = core.login(call.settings, _read_token(file))
    call.note_stored()
    show_facts(_token_document(info), call.look(Format.TABLE), id_column="tokenId")


@command(
    auth,
    "status",
    examples=("pfa auth status", "pfa auth status -o json"),
    exit_codes="4 the token is no longer valid.",
    columns=_COLUMNS,
)
def status(call: Invocation, talk: Talk) -> None:
    """Show user, organizations and expiry of the current token."""
    try:
        info = core.token_info(call.signed_in, db=call.database)
    except (DatabaseUnavailable, ConfigInvalid) as error:
        info = core.token_info(call.settings)
        talk.hint(f"cannot check whether it was revoked: {error.message}")
    show_facts(_token_document(info), call.look(Format.TABLE), id_column="tokenId")


@command(
    auth,
    "logout",
    effect=Effect.IMMEDIATE,
    exit_codes="7 the file of the token holds something else.",
)
def logout(call: Invocation, talk: Talk) -> None:
    """Delete the stored token."""
    deleted = core.logout(call.settings)
    talk.say("signed out" if deleted else "no token is stored")


def _read_token(file: str) -> str:
    if file != "-":
        from pfa_core.config.settings import read_secret_file

        return read_secret_file(Path(file))
    if sys.stdin is None or streams.is_terminal(sys.stdin):
        raise InvalidRequest(
            "no token on standard input", hint="type: pfa auth login FILE, or use a pipe"
        )
    try:
        token = sys.stdin.readline().strip()
    except UnicodeDecodeError:
        raise InvalidRequest("standard input is not UTF-8 text; it holds no token") from None
    if not token:
        raise InvalidRequest("no token on standard input", hint="type: pfa auth login FILE")
    return token


def _token_document(info: Any) -> dict[str, Any]:
    item = document(info)
    return {**item, "valid": True, "expiresIn": span(_left(info.expires_at))}


def _left(expires_at: Any) -> timedelta:
    from pfa_core.model.ids import utc_now

    return max(expires_at - utc_now(), timedelta(0))
