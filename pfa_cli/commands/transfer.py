"""`pfa org export`, `pfa org import` and `pfa org reopen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.members import org
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.talk import Talk
from pfa_cli.framework.text_files import require_apart
from pfa_cli.render.facts import show_facts, with_sizes
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.model import shell

_BOTH = ("organization", "path", "sha256", "status", "copy", "records", "modifications", "members",
         "entries", "anchor", "rows")  # fmt: skip

Code = Annotated[str, typer.Argument(metavar="CODE", help="The organization.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="The file.")]


@command(
    org,
    "export",
    effect=Effect.WRITES,
    examples=(
        "pfa org export RIO rio.pfa",
        "pfa org export RIO rio.pfa --dry-run",
        "pfa org export RIO rio.pfa --copy",
    ),
    exit_codes="5 you are not an admin; 9 trail or sums are not whole; 75 a run is under way;"
    " 78 not the owner's address.",
    columns=(*_BOTH, "sizeBytes", "schemaVersion"),
)
def export_organization(
    call: Invocation,
    talk: Talk,
    code: Code,
    file: File,
    *,
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Leave it active here; what is imported exchanges nothing."),
    ] = False,
) -> None:
    """Write everything of an organization into a file, and archive it here.

    Records, drafts, changes that wait, runs, members and the audit trail, with checksums. An archived organization
    is read and not changed: it goes on where the file is imported, so that no change is sent to PEMS by both. The
    file holds prices and drafts of all users; only you can read it. Needs the owner's address.
    """
    call.adopt_organization(code, "CODE")
    require_apart(file, shell.command("pfa org export", [code]))
    database, principal = call.open()
    with ProgressLine(call.common, "row", "verifying and writing the organization"):
        result = core.export_organization(
            database, principal, file, copy=copy, dry_run=call.dry_run
        )
    if not call.dry_run:
        call.note_stored()
    _show(call, document(result))
    talk.note_dry_run()
    if call.dry_run:
        return
    if copy:
        talk.hint("the copy is suspended where it is imported: it exchanges nothing with PEMS")
    else:
        _say_next(talk, code, file)


@command(
    org,
    "import",
    effect=Effect.WRITES,
    examples=("pfa org import rio.pfa --dry-run", "pfa org import rio.pfa"),
    exit_codes="7 the organization is there already; 9 the file is cut off or altered;"
    " 78 another schema, or not the owner's address.",
    columns=(*_BOTH, "admins"),
)
def import_organization(call: Invocation, talk: Talk, file: File) -> None:
    """Store an organization from a file of pfa org export, all of it or nothing.

    The file is checked before anything is written, audit trail and sums before the end. Members and the register of
    tokens come with it, signing keys do not. Needs the owner's address, as pfa init does.
    """
    with ProgressLine(call.common, "row", "checking and storing the organization"):
        result = core.import_organization(call.database, file, dry_run=call.dry_run)
    _show(call, document(result))
    talk.note_dry_run()
    if not call.dry_run:
        who = ", ".join(result.admins[:5]) or "none"
        talk.say(
            f"next: an admin of it ({who}) types: pfa init --org {shell.word(result.organization_id)}"
        )


@command(
    org,
    "reopen",
    effect=Effect.WRITES,
    examples=("pfa org reopen RIO --reason 'the import was given up'",),
    exit_codes="5 you are not an admin; 7 it is active; 78 not the owner's address.",
    columns=("organization", "before", "after"),
)
def reopen_organization(
    call: Invocation,
    talk: Talk,
    code: Code,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; the audit trail keeps it.")
    ],
) -> None:
    """Make an organization active that an export archived, or that is a copy.

    Only where it goes on nowhere else: two that are active would send the same changes to PEMS.
    """
    call.adopt_organization(code, "CODE")
    database, principal = call.open()
    before = core.reopen_organization(database, principal, reason=reason, dry_run=call.dry_run)
    facts = {"organization": code, "before": before, "after": "active"}
    show_facts(facts, call.look(Format.TABLE), id_column="organization")
    talk.note_dry_run()


def _say_next(talk: Talk, code: str, file: str) -> None:
    """Name what brings an archived organization to the other side."""
    # What a pipe's reader has made of it is not known: whether it is kept, and under which name.
    kept = Path(file).is_file()
    name = shell.file(file) if kept else "FILE"
    undone = (
        "" if kept else f"; if it was not kept, type: pfa org reopen {code} --reason 'not kept'"
    )
    talk.hint(
        f"{code} is archived here; on the other side type: pfa org import {name}; import it once{undone}"
    )


def _show(call: Invocation, item: dict[str, Any]) -> None:
    """Write what was moved; people read no numbers of each table."""
    from pfa_cli.render.tables import facts

    look = call.look(Format.TABLE)
    shown = {
        name: value
        for name, value in item.items()
        if name != "rows"
        and value != ""
        and value is not False
        and (name, value) != ("sizeBytes", 0)
    }
    if "admins" in shown:
        shown["admins"] = ", ".join(shown["admins"])
    flat = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in item.items()
    }
    flat["rows"] = ",".join(f"{table}={number}" for table, number in item["rows"].items())
    sheet = Sheet(
        id_column="organization",
        columns=tuple(item),
        items=[item],
        rows=[flat],
        envelope=Data(item),
        text=lambda: facts(list(with_sizes(shown).items()), look),
    )
    show(sheet, look)
