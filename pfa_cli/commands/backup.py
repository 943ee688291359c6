"""`pfa db backup` and `pfa db restore`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.db import db
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.talk import Talk
from pfa_cli.framework.text_files import require_apart
from pfa_cli.render.facts import with_sizes
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import Internal
from pfa_core.transfer.archive import BackupResult

_COLUMNS = ("path", "sizeBytes", "sha256", "serverVersion", "schemaVersion", "verified",
            "organizations")  # fmt: skip

File = Annotated[str, typer.Argument(metavar="FILE", help="The file.")]


@command(
    db,
    "backup",
    effect=Effect.IMMEDIATE,
    examples=("pfa db backup pfa.dump", "pfa db backup pfa.dump --no-verify"),
    exit_codes="1 a trail or sums are not whole, the backup is there; 78 no pg_dump of the server's version,"
    " or not the owner's address.",
    columns=_COLUMNS,
)
def backup(
    call: Invocation,
    talk: Talk,
    file: File,
    *,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not restore it for a check.")
    ] = False,
) -> int:
    """Write the whole database into a file, verified by a restore beside this one.

    In the custom format of pg_dump; only you can read it, for it has keys, prices and drafts. Needs the owner's
    address, and the right to make a database for the check.
    """
    require_apart(file, "pfa db backup")
    with ProgressLine(call.common, "step", "writing and verifying the backup"):
        result = core.backup_database(call.settings, file, verify=not no_verify)
    call.note_stored()
    _show(call, result)
    if not result.verified:
        talk.hint(
            "it was not restored for a check: pfa db restore into a new database shows whether it can"
        )
    return _ended(talk, result)


@command(
    db,
    "restore",
    effect=Effect.WRITES,
    examples=("pfa db restore pfa.dump --database-url postgresql://pfa@db/new",),
    exit_codes="1 a trail or sums are not whole; 7 the database has data; 9 not a backup of pfa; 78 one of a newer"
    " pfa, no pg_restore of the server's version, or not the owner's address.",
    columns=_COLUMNS,
)
def restore(call: Invocation, talk: Talk, file: File) -> int:
    """Restore a backup into a database without data, and verify it.

    The schema is upgraded where the backup is older, statistics are made. What PEMS has had since the backup is not
    in it: a pull brings it, and then a push sends what still waits; nothing that PEMS has is sent again.
    """
    with ProgressLine(call.common, "step", "restoring and verifying the backup"):
        result = core.restore_database(call.settings, file, dry_run=call.dry_run)
    if not call.dry_run:
        call.note_stored()
    _show(call, result)
    talk.note_dry_run()
    if call.dry_run:
        return 0
    talk.say("next, for what PEMS has had since the backup: pfa sync pull, then pfa sync push")
    return _ended(talk, result)


def _ended(talk: Talk, result: BackupResult) -> int:
    """Name what is not whole; return the exit code."""
    if result.whole:
        return 0
    for one in result.organizations:
        code = one.organization_id
        if one.flaws:
            talk.say(
                f"{code}: {count(one.flaws, 'flaw')} of the trail: pfa log verify --org {code}"
            )
        if one.differences:
            talk.say(
                f"{code}: {count(one.differences, 'difference')} of sums or overlays: pfa db verify --org {code}"
            )
    return Internal.exit_code


def _show(call: Invocation, result: BackupResult) -> None:
    from pfa_cli.render.tables import facts

    item: dict[str, Any] = document(result)
    look = call.look(Format.TABLE)
    codes = ",".join(one["organization"] for one in item["organizations"])
    flat = {**item, "organizations": codes}
    sheet = Sheet(
        id_column="path",
        columns=tuple(item),
        items=[item],
        rows=[flat],
        envelope=Data(result),
        text=lambda: facts(
            [pair for pair in with_sizes(flat).items() if pair[1] not in ("", None)], look
        ),
    )
    show(sheet, look)
