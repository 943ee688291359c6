"""`pfa auth keys`: the keys that sign tokens."""

from __future__ import annotations

from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.commands.auth.group import keys
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.durations import parse_duration
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import Limit, sort_keys, sort_option
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.model.ordering import KEYS

_COLUMNS = ("keyId", "state", "here", "createdAt", "notAfter", "retiredAt")


@command(
    keys,
    "list",
    examples=("pfa auth keys", "pfa auth keys list -o json"),
    exit_codes="5 you are not an admin; 78 the local key was retired: it was rotated elsewhere.",
    columns=_COLUMNS,
)
def list_keys(
    call: Invocation,
    talk: Talk,
    limit: Limit = None,
    sort: Annotated[str, sort_option(KEYS)] = KEYS.default,
) -> None:
    """List signing keys (ids only), and register those of this installation."""
    database, principal = call.open()
    found = core.list_keys(database, call.settings, principal, limit=limit, sort=sort_keys(sort))
    items = [document(info) for info in found]
    envelope = Data(found, metadata(call, talk))
    sheet = Sheet(id_column="keyId", columns=_COLUMNS, items=items, envelope=envelope)
    show(sheet, call.look(Format.TSV))


@command(
    keys,
    "rotate",
    effect=Effect.WRITES,
    examples=("pfa auth keys rotate", "pfa auth keys rotate --overlap 7d"),
    exit_codes="5 you are not an admin; 78 the key comes from PFA_JWT_SECRET.",
    columns=("keyId", "previous", "overlapUntil", "endingTokens", "keyFile"),
)
def rotate(
    call: Invocation,
    talk: Talk,
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="TIME", help="How long old tokens stay valid: 0s, 8h."),
    ] = "8h",
) -> None:
    """Create a signing key; tokens of the old one stay valid until the overlap ends."""
    wanted = parse_duration(overlap)
    database, principal = call.open()
    made = core.rotate_keys(
        database, call.settings, principal, overlap=wanted, dry_run=call.dry_run
    )
    show_facts(document(made), call.look(Format.TABLE), id_column="keyId")
    talk.note_dry_run()
    if made.ending_tokens:
        talk.hint(
            f"{made.ending_tokens:,} tokens of {principal.organization_id} expire with the overlap;"
            " list them to issue new ones: pfa auth list"
        )


@command(
    keys,
    "retire",
    effect=Effect.WRITES,
    examples=("pfa auth keys retire 3f1c9a7e55d20b64",),
    exit_codes="5 you are not an admin; 6 no such key; 7 it is the signing key.",
    columns=_COLUMNS,
)
def retire(
    call: Invocation,
    talk: Talk,
    key_id: Annotated[str, typer.Argument(metavar="KID", help="As shown by `pfa auth keys`.")],
) -> None:
    """Retire a key at once, and with it every token that it signed."""
    database, principal = call.open()
    retired = core.retire_key(database, call.settings, principal, key_id, dry_run=call.dry_run)
    show_facts(document(retired), call.look(Format.TABLE), id_column="keyId")
    talk.note_dry_run()
