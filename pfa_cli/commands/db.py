"""`pfa db …`: schema and the embedded server."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.render import streams
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import Internal, NotFound

if TYPE_CHECKING:
    from pfa_core.admin.consistency import VerifyReport

app = typer.Typer(rich_markup_mode=None)
db = group(app, "db", "The database: its schema, and the embedded server.")


@command(
    db,
    "upgrade",
    effect=Effect.WRITES,
    examples=("pfa db upgrade", "pfa db upgrade --dry-run"),
    exit_codes="69 no database; 78 the schema is newer than this program.",
)
def upgrade(call: Call) -> None:
    """Bring the schema to the version of this program."""
    report = core.upgrade(call.settings, dry_run=call.dry_run)
    item = document(report)
    sheet = Sheet(
        id_column="after",
        columns=tuple(item),
        items=[item],
        document=lambda: {"data": item, "metadata": {}},
        text=lambda: _upgraded(report.before, report.after, report.applied),
    )
    show(sheet, call.look(Format.TABLE))
    if call.dry_run:
        call.say("dry run, rolled back")


@command(db, "status", exit_codes="0 even when the database cannot be reached; pfa doctor judges.")
def status(call: Call) -> None:
    """Show which database is used, whether it answers, and its schema. Starts nothing."""
    from pfa_cli.render.tables import facts

    item = document(core.database_status(call.settings))
    sheet = Sheet(
        id_column="address",
        columns=tuple(item),
        items=[item],
        document=lambda: {"data": item, "metadata": {}},
        text=lambda: facts([pair for pair in item.items() if pair[1] not in (None, "")]),
    )
    show(sheet, call.look(Format.TABLE))


@command(
    db,
    "verify",
    effect=Effect.WRITES,
    examples=("pfa db verify", "pfa db verify --repair"),
    exit_codes="1 what is kept does not agree with what it is made of, and was not repaired.",
)
def verify(
    call: Call,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make anew what does not agree.")
    ] = False,
) -> int:
    """Compare the kept sums and overlays with the records and changes they are made of."""
    database, principal = call.open()
    report = core.verify_database(database, principal, repair=repair, dry_run=call.dry_run)
    item = {
        "rollup": len(report.rollup),
        "overlays": len(report.overlays),
        "repaired": report.repaired and not call.dry_run,
    }
    sheet = Sheet(
        id_column="rollup",
        columns=tuple(item),
        items=[item],
        document=lambda: {"data": document(report), "metadata": call.metadata()},
        text=lambda: _verified(report),
    )
    show(sheet, call.look(Format.TABLE))
    if report.clean or item["repaired"]:
        return 0
    call.hint("type: pfa db verify --repair")
    return Internal.exit_code


@command(db, "stop", effect=Effect.SETTLES)
def stop(call: Call) -> None:
    """Stop the embedded server. The next command starts it again."""
    stopped = core.stop_embedded(call.settings)
    call.say("the embedded server is stopped" if stopped else "no embedded server was running")


@command(db, "url", examples=('psql "$(pfa db url)"',))
def url(call: Call) -> None:
    """Print an address that psql takes; starts the embedded server when it is needed."""
    address = core.database_url(call.settings)
    item = {"url": address}
    sheet = Sheet(
        "url", ("url",), [item], lambda: {"data": item, "metadata": {}}, text=lambda: address
    )
    show(sheet, call.look(Format.TABLE))


@command(
    db,
    "psql",
    effect=Effect.SETTLES,
    examples=("pfa db psql", "pfa db psql -- -c 'TABLE pfa_sync_log'"),
    exit_codes="psql's own.",
)
def psql(
    call: Call,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- PSQL_ARGUMENT...]", help="Handed to psql.")
    ] = None,
) -> None:
    """Run psql on the database."""
    program = str(core.psql_program(call.settings))
    address, password = core.psql_address(call.settings)
    environment = dict(os.environ) | ({"PGPASSWORD": password} if password else {})
    streams.flush()
    sys.stderr.flush()
    try:
        os.execve(program, [program, address, *(arguments or ())], environment)  # noqa: S606
    except FileNotFoundError:
        raise NotFound(f"{program} is not there", hint="install the PostgreSQL client") from None


def _verified(report: VerifyReport) -> str:
    if report.clean:
        return "all sums and overlays agree with what they are made of"
    mended = "made anew" if report.repaired else "wrong"
    return (
        f"{count(len(report.rollup), 'sum')} and {count(len(report.overlays), 'overlay row')}"
        f" {mended}"
    )


def _upgraded(before: int, after: int, applied: tuple[str, ...]) -> str:
    if before == after:
        return f"schema {after}: up to date"
    return "\n".join([f"schema {before} → {after}", *(f"  {name}" for name in applied)])
