"""The group `pfa auth`, and what its commands share."""

from __future__ import annotations

from typing import Any

import typer

from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import group
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

app = typer.Typer(rich_markup_mode=None)
auth = group(app, "auth", "Tokens and keys: issue, keep, refresh, look at, revoke.")
keys = group(auth, "keys", "The keys that sign tokens: list, rotate, retire.", default="list")


def print_token(call: Call, issued: Any) -> None:
    """Write a fresh token, and nothing else unless JSON was asked for."""
    item = document(issued)
    sheet = Sheet(
        "tokenId", ("token",), [item], lambda: item, text=lambda: issued.token, known=tuple(item)
    )
    show(sheet, call.look(Format.TABLE))
