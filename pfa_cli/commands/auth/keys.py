"""`pfa auth keys …`: the keys that sign tokens."""

from __future__ import annotations

from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.commands.auth.group import keys
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.durations import parse_duration
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show


@command(
    keys,
    "list",
    examples=("pfa auth keys", "pfa auth keys list -o json"),
    exit_codes="5 you are no admin; 78 the key here has ended: it was rotated elsewhere.",
)
def list_keys(call: Call) -> None:
    """List the signing keys, never what they are. Those of this installation are made known."""
    database, principal = call.open()
    found = core.list_keys(database, call.settings, principal)
    items = [document(info) for info in found]
    columns = ("keyId", "state", "here", "createdAt", "notAfter", "retiredAt")
    sheet = Sheet("keyId", columns, items, lambda: {"data": items, "metadata": call.metadata()})
    show(sheet, call.look(Format.TSV))


@command(
    keys,
    "rotate",
    effect=Effect.WRITES,
    examples=("pfa auth keys rotate", "pfa auth keys rotate --overlap 7d"),
    exit_codes="5 you are no admin; 78 the key comes from PFA_JWT_SECRET.",
)
def rotate(
    call: Call,
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="TIME", help="How long old tokens stay good: 0s, 8h."),
    ] = "8h",
) -> None:
    """Make a new signing key. What the old one signed stays good until the overlap ends."""
    wanted = parse_duration(overlap)
    database, principal = call.open()
    made = core.rotate_keys(
        database, call.settings, principal, overlap=wanted, dry_run=call.dry_run
    )
    show_facts(call, document(made), id_column="keyId")
    if made.ending_tokens:
        call.hint(
            f"{made.ending_tokens:,} tokens of {principal.organization_id} end with the overlap;"
            " issue them anew: pfa auth list"
        )


@command(
    keys,
    "retire",
    effect=Effect.WRITES,
    examples=("pfa auth keys retire 3f1c9a7e55d20b64",),
    exit_codes="5 you are no admin; 6 no such key; 7 it signs here.",
)
def retire(
    call: Call,
    key_id: Annotated[str, typer.Argument(metavar="KID", help="As `pfa auth keys` shows it.")],
) -> None:
    """End a key at once, and every token that it signed."""
    database, principal = call.open()
    gone = core.retire_key(database, call.settings, principal, key_id, dry_run=call.dry_run)
    show_facts(call, document(gone), id_column="keyId")
