"""The group `pfa auth` with its output of tokens."""

from __future__ import annotations

from typing import Any

import typer

from pfa_cli.framework.compose import group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

app = typer.Typer(rich_markup_mode=None)
auth = group(app, "auth", "Manage tokens and signing keys: issue, refresh, list, revoke, rotate.")
keys = group(
    auth, "keys", "Manage the keys that sign tokens: list, rotate, retire.", default="list"
)

TOKEN_COLUMNS = ("token", "tokenId", "userId", "organization", "role", "expiresAt")


def print_token(call: Invocation, issued: Any) -> None:
    """Write a new token, and nothing else unless JSON was asked for."""
    item = document(issued)
    sheet = Sheet(
        id_column="tokenId",
        columns=("token",),
        items=[item],
        envelope=issued,
        text=lambda: issued.token,
    )
    show(sheet, call.look(Format.TABLE))
