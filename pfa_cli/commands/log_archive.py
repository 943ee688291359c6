"""`pfa log archive`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.commands.log import log
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.moments import parse_moment
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_core.model import shell

_COLUMNS = ("path", "before", "first", "last", "links", "entries", "kept", "removed", "sizeBytes",
            "sha256", "anchor", "already")  # fmt: skip


@command(
    log,
    "archive",
    effect=Effect.WRITES,
    examples=(
        "pfa log archive --before 2025-01-01 --to trail-2024.jsonl.gz --dry-run",
        "pfa log archive --before 2025-01-01 --to trail-2024.jsonl.gz",
    ),
    exit_codes="5 you are not an admin; 7 another file is there; 9 the trail is not whole; 78 not the owner's"
    " address.",
    columns=_COLUMNS,
)
def archive(
    call: Invocation,
    talk: Talk,
    *,
    before: Annotated[
        str,
        typer.Option(
            "--before", metavar="DATE", help="Older entries: than a day (UTC), an instant, or 400d."
        ),
    ],
    to: Annotated[str, typer.Option("--to", metavar="FILE", help="The new file.")],
) -> None:
    """Move the oldest entries of the audit trail into a file.

    It is read back and verified before they are removed. Lines of JSON, packed by gzip, with checksums; the chain
    verifies across it, and pfa log --from reads it. What something still needs stays in the database too.
    Interrupted, the same command goes on. The file holds prices; only you can read it. Keep a copy: it is all that
    is left of these entries. Needs the owner's address.
    """
    moment = parse_moment(before, datetime.now(UTC))
    database, principal = call.open()
    with ProgressLine(call.common, "step", "writing, verifying and removing entries"):
        result = core.archive_log(database, principal, to, before=moment, dry_run=call.dry_run)
    if result.removed:
        call.note_stored()
    show_facts(document(result), call.look(Format.TABLE), id_column="path")
    talk.note_dry_run()
    if not result.links:
        talk.say(f"no entry that is not archived is older than {before}; nothing was written")
    elif result.already:
        talk.say("these entries were archived before; nothing was changed")
    elif not call.dry_run:
        talk.hint(
            f"{count(result.removed, 'entry', 'entries')} left the database: copy {shell.file(to)} to where"
            " backups are"
        )
