"""The group `pfa auth` with its output of tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import typer

import pfa_core as core
from pfa_cli.framework.compose import group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render import failures, streams
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import IoFailure, PfaError
from pfa_core.model.secret import Secret

app = typer.Typer(rich_markup_mode=None)
auth = group(app, "auth", "Manage tokens and signing keys: issue, refresh, list, revoke, rotate.")
keys = group(
    auth, "keys", "Manage the keys that sign tokens: list, rotate, retire.", default="list"
)

TOKEN_COLUMNS = ("token", "tokenId", "userId", "organization", "role", "expiresAt")


def print_token(call: Invocation, issued: Any) -> None:
    """Write a new token, and nothing else unless JSON was asked for.

    Raises:
        IoFailure: It could not be written. It is revoked: it would stay valid.
    """
    item = document(issued)
    sheet = Sheet(
        id_column="tokenId",
        columns=("token",),
        items=[item],
        envelope=issued,
        text=lambda: issued.token,
    )
    try:
        show(sheet, call.look(Format.TABLE, answers=True))
        streams.flush()
    except (OSError, streams.StdoutFailure) as error:
        streams.abandon()
        reason = failures.of_exception(error).message
        raise IoFailure(f"{reason}; {_revoked(call, issued)}") from error


def _revoked(call: Invocation, issued: Any) -> str:
    """Revoke a token that was not shown, by the token itself; say what became of it."""
    try:
        held = document(issued)
        code = held["organization"] if "organization" in held else min(held["organizations"])
        settings = replace(call.settings, organization=code, token=Secret(issued.token))
        own = core.authenticate(settings)
        core.revoke_tokens(call.database, own, token_ids=[issued.token_id])
    except PfaError as failure:
        text = f"the token {issued.token_id} was not shown, but it is valid"
        return f"{text}, it could not be revoked: {failure.message}"
    return f"the token {issued.token_id} was not shown, and is revoked"
