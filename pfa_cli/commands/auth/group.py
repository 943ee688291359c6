"""The group `pfa auth` with its output of tokens."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import typer

import pfa_core as core
from pfa_cli.framework.compose import group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render import failures, streams
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.config.secret_files import write_secret_file
from pfa_core.errors import IoFailure, PfaError
from pfa_core.model.secret import Secret

app = typer.Typer(rich_markup_mode=None)
auth = group(app, "auth", "Manage tokens and signing keys: issue, refresh, list, revoke, rotate.")
keys = group(
    auth, "keys", "Manage the keys that sign tokens: list, rotate, retire.", default="list"
)

TOKEN_COLUMNS = ("token", "tokenId", "userId", "organization", "role", "expiresAt", "tokenFile")
_OTHERS = 0o077


def print_token(call: Invocation, talk: Talk, issued: Any) -> None:
    """Write a new token, and nothing else unless JSON was asked for.

    Raises:
        IoFailure: It could not be written. It is revoked: it would stay valid.
    """
    if _is_open_to_others(sys.stdout):
        talk.hint("others can read that file, and pfa refuses it then; type: chmod 600 FILE")
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


def store_token(call: Invocation, issued: Any, file: Path) -> None:
    """Write a new token to a file that only its owner can read, and show its facts.

    Raises:
        IoFailure: It could not be written. It is revoked: it would stay valid.
    """
    try:
        write_secret_file(file, issued.token)
    except PfaError as error:
        raise IoFailure(f"{error.message}; {_revoked(call, issued)}") from error
    call.note_stored()
    facts = {**document(issued), "tokenFile": str(file)}
    del facts["token"]
    show_facts(facts, call.look(Format.TABLE), id_column="tokenId")


def _is_open_to_others(stream: TextIO | None) -> bool:
    """Tell whether a stream goes to a file that other users can read or write."""
    try:
        mode = os.fstat(stream.fileno()).st_mode if stream else 0
    except (OSError, ValueError):  # closed, or not of the operating system
        return False
    return stat.S_ISREG(mode) and bool(mode & _OTHERS)


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
