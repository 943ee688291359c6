"""`pfa db`: schema and embedded server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.facts import with_sizes
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import Internal, NotFound
from pfa_core.model import shell

if TYPE_CHECKING:
    from pfa_core.admin.consistency import VerifyReport
    from pfa_core.store.distribution import DistributionReport
    from pfa_core.store.upkeep import MonthGrowth
    from pfa_core.transfer.upgrade import UpgradeResult

app = typer.Typer(rich_markup_mode=None)
db = group(
    app,
    "db",
    "Manage the database: its schema and the embedded server.",
    modules={
        "upgrade": __name__,
        "status": __name__,
        "distribute": __name__,
        "verify": __name__,
        "backup": "pfa_cli.commands.backup",
        "restore": "pfa_cli.commands.backup",
        "stop": __name__,
        "url": __name__,
        "psql": __name__,
        "role": __name__,
    },
)

MAX_NAMED = 20
MOST = 1_000_000  # rows of a month that are counted
role = group(
    db, "role", "Manage the login roles of a server of your own: one for each person and job."
)

_UPGRADE = ("before", "after", "applied", "serverBefore", "serverAfter", "keptDirectory",
            "organizations")  # fmt: skip
_STATUS = ("kind", "reachable", "address", "serverVersion", "schemaVersion", "programSchema",
           "runningPid", "dataDirectory", "sizeBytes", "workers", "shards", "trailBytes", "historyBytes",
           "growth", "problem")  # fmt: skip


@command(
    db,
    "upgrade",
    effect=Effect.WRITES,
    examples=(
        "pfa db upgrade",
        "pfa db upgrade --dry-run",
        "pfa db upgrade --old-bindir /usr/lib/postgresql/17/bin",
    ),
    exit_codes="1 a trail or sums are not whole; 69 no database; 74 not enough room; 75 a transaction under way"
    " does not end; 78 the schema is newer than this program, or an older PostgreSQL's programs are not found.",
    columns=_UPGRADE,
)
def upgrade(
    call: Invocation,
    talk: Talk,
    *,
    old_bindir: Annotated[
        str,
        typer.Option(
            "--old-bindir",
            metavar="DIR",
            help="Programs of the embedded server's older PostgreSQL; without: looked for.",
        ),
    ] = "",
) -> int:
    """Upgrade the schema and the embedded server's PostgreSQL to this program's.

    Data of an older PostgreSQL are dumped, restored beside and verified; then they take the place of the old ones,
    which are kept aside until you remove them. An interrupted upgrade has changed nothing, or goes on where it was.
    """
    with ProgressLine(call.common, "step", "upgrading the database"):
        result = core.upgrade(call.settings, dry_run=call.dry_run, old_bindir=old_bindir or None)
    if (result.applied or result.kept_directory) and not call.dry_run:
        call.note_stored()
    item: dict[str, Any] = document(result)
    codes = ",".join(one["organization"] for one in item["organizations"])
    sheet = Sheet(
        id_column="after",
        columns=tuple(item),
        items=[item],
        rows=[{**item, "organizations": codes}],
        envelope=Data(result),
        text=lambda: _upgraded(result),
    )
    show(sheet, call.look(Format.TABLE))
    talk.note_dry_run()
    if result.kept_directory and not call.dry_run:
        kept = shell.file(result.kept_directory)
        talk.hint(f"the data of before are kept; when nothing is missed, type: rm -r {kept}")
    if result.whole:
        return 0
    for one in result.organizations:
        if one.flaws or one.differences:
            code = one.organization_id
            talk.say(
                f"{code}: {count(one.flaws, 'flaw')} of the trail, {count(one.differences, 'difference')} of sums"
                f" or overlays: pfa log verify --org {code}, pfa db verify --org {code}"
            )
    return Internal.exit_code


@command(
    db,
    "status",
    exit_codes="0 even when the database cannot be reached; see pfa doctor.",
    columns=_STATUS,
)
def status(call: Invocation) -> None:
    """Show which database is used, its schema and growth; start nothing.

    The growth is what the last months added: entries of the audit trail, replaced versions of records.
    """
    from pfa_cli.render.tables import facts

    found = core.database_status(call.settings, growth=True)
    item = document(found)
    flat = {**item, "growth": "; ".join(map(_month, found.growth))}
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="address",
        columns=tuple(item),
        items=[item],
        rows=[flat],
        envelope=Data(item),
        text=lambda: facts(_status_facts(item, found.growth), look),
    )
    show(sheet, look)


def _status_facts(item: Mapping[str, Any], growth: Sequence[MonthGrowth]) -> list[tuple[str, Any]]:
    """Name what is known, each month of the growth on a line of its own."""
    shown: list[tuple[str, Any]] = []
    for name, value in with_sizes(item).items():
        months = [_month(one) for one in growth] if name == "growth" else [value]
        shown += [("" if place else name, text) for place, text in enumerate(months)]
    return [pair for pair in shown if pair[1] not in (None, "")]


@command(
    db,
    "distribute",
    effect=Effect.WRITES,
    examples=(
        "pfa db distribute --dry-run",
        'pfa db distribute --shards 64 --database-url "$owner"',
    ),
    exit_codes="78 no Citus, no worker, or not the owner of the tables.",
    columns=("workers", "shards", "reference", "distributed", "local", "changed"),
)
def distribute(
    call: Invocation,
    talk: Talk,
    *,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            help="How many shards of each table; default citus.shard_count.",
        ),
    ] = None,
) -> None:
    """Distribute the tables by organization over the workers of a Citus cluster."""
    report = core.distribute(call.settings, shards=shards, dry_run=call.dry_run)
    if report.changed and not call.dry_run:
        call.note_stored()
    item = document(report)
    sheet = Sheet(
        id_column="workers",
        columns=tuple(item),
        items=[item],
        envelope=Data(item),
        text=lambda: _distributed(report),
    )
    show(sheet, call.look(Format.TABLE))
    if report.changed:
        talk.say("distributed tables have no row-level security: see docs/security.md, Citus")
    talk.note_dry_run()


@command(
    db,
    "verify",
    effect=Effect.WRITES,
    writes_with="repair",
    examples=("pfa db verify", "pfa db verify --repair"),
    exit_codes="1 derived data differs from its source and was not repaired.",
    columns=("rollup", "overlays", "overlaySums", "badRows", "repaired"),
)
def verify(
    call: Invocation,
    talk: Talk,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what differs.")] = False,
) -> int:
    """Compare stored sums and overlays with the records and changes behind them."""
    database, principal = call.open()
    with ProgressLine(call.common, "record", "comparing sums and overlays with their records"):
        report = core.verify_database(database, principal, repair=repair, dry_run=call.dry_run)
    item = {
        "rollup": len(report.rollup) + len(report.kept_sums),
        "overlays": len(report.overlays),
        "overlaySums": len(report.overlay_sums),
        "badRows": len(report.bad_rows) + report.dropped,
        "repaired": report.repaired and not call.dry_run,
    }
    sheet = Sheet(
        id_column="rollup",
        columns=tuple(item),
        items=[item],
        envelope=Data(report, metadata(call, talk)),
        text=lambda: _verified(report),
    )
    show(sheet, call.look(Format.TABLE))
    for row in report.bad_rows[:MAX_NAMED]:
        talk.say(f"{row.table} {row.row_key}: {', '.join(row.columns)}")
    if report.clean or (item["repaired"] and not report.bad_rows):
        return 0
    talk.hint("type: pfa sync pull" if repair else "type: pfa db verify --repair")
    return Internal.exit_code


@command(
    role,
    "add",
    effect=Effect.WRITES,
    examples=(
        "pfa db role add edna --print",
        "pfa db role add nightly --password-file nightly.password",
    ),
    exit_codes="7 there is such a role; 78 the address may not create roles.",
    columns=("role", "statement"),
)
def add_role(
    call: Invocation,
    talk: Talk,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the login role.")],
    *,
    password_file: Annotated[
        str,
        typer.Option(
            "--password-file",
            metavar="FILE",
            help="File with its password, which only you can read; without: none.",
        ),
    ] = "",
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the SQL for an administrator; change nothing.")
    ] = False,
) -> None:
    """Create a login role for one person or job; row-level security applies to it."""
    from pfa_core.config.settings import read_secret_file
    from pfa_core.model.secret import Secret

    statement = core.login_role_statement(name)
    if not only_print:
        password = Secret(read_secret_file(Path(password_file))) if password_file else None
        core.add_login_role(call.settings, name, password=password, dry_run=call.dry_run)
        if not call.dry_run:
            call.note_stored()
    item = {"role": name, "statement": statement}
    sheet = Sheet(
        id_column="role",
        columns=("role", "statement"),
        items=[item],
        envelope=Data(item),
        text=lambda: statement if only_print else f"login role {name}: created",
    )
    show(sheet, call.look(Format.TABLE))
    talk.note_dry_run()
    if only_print:
        talk.hint(f"set its password where no other sees it: in psql type \\password {name}")


@command(db, "stop", effect=Effect.IMMEDIATE)
def stop(call: Invocation, talk: Talk) -> None:
    """Stop the embedded server; the next command starts it again."""
    stopped = core.stop_embedded(call.settings)
    talk.say("the embedded server is stopped" if stopped else "no embedded server was running")


@command(db, "url", examples=('psql "$(pfa db url)"',), columns=("url",))
def url(call: Invocation) -> None:
    """Print an address for psql; start the embedded server if it is needed."""
    address = core.database_url(call.settings)
    item = {"url": address}
    sheet = Sheet(
        id_column="url",
        columns=("url",),
        items=[item],
        envelope=Data(item),
        text=lambda: address,
    )
    show(sheet, call.look(Format.TABLE))


@command(
    db,
    "psql",
    effect=Effect.IMMEDIATE,
    examples=("pfa db psql", "pfa db psql -- -c 'TABLE pfa_sync_log'"),
    exit_codes="psql's own.",
)
def psql(
    call: Invocation,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- PSQL_ARGUMENT...]", help="Arguments for psql."),
    ] = None,
) -> None:
    """Run psql on the database."""
    program = str(core.psql_program(call.settings))
    address, password = core.psql_address(call.settings)
    environment = core.psql_environment(call.settings, password)
    streams.flush()
    sys.stderr.flush()
    try:
        os.execve(program, [program, address, *(arguments or ())], environment)  # noqa: S606
    except FileNotFoundError:
        raise NotFound(f"{program} is not there", hint="install the PostgreSQL client") from None


def _month(one: MonthGrowth) -> str:
    entries, versions = (
        f"{number:,}{'+' if number == MOST else ''}" for number in (one.entries, one.versions)
    )
    entry = "entry" if one.entries == 1 else "entries"
    version = "version" if one.versions == 1 else "versions"
    return f"{one.month} {entries} {entry}, {versions} {version}"


def _verified(report: VerifyReport) -> str:
    if report.clean:
        return "all sums and overlays agree with their source"
    state = "rebuilt" if report.repaired else "wrong"
    sums = len(report.rollup) + len(report.kept_sums) + len(report.overlay_sums)
    derived = f"{count(sums, 'sum')} and {count(len(report.overlays), 'overlay row')} {state}"
    lines = [derived if sums or report.overlays else ""]
    if report.dropped:
        lines.append(
            f"{count(report.dropped, 'row')} that broke a check deleted: pfa log --action repair"
        )
    if report.bad_rows:
        lines.append(f"{count(len(report.bad_rows), 'row')} breaking a check")
    return "\n".join(filter(None, lines))


def _distributed(report: DistributionReport) -> str:
    placed = len(report.distributed)
    lines = [
        f"{count(placed, 'table')} in {count(report.shards, 'shard')} on {count(report.workers, 'worker')},"
        f" {len(report.reference)} on every node, {len(report.local)} on the coordinator"
    ]
    if not report.changed:
        return f"{lines[0]}: nothing to do"
    return "\n".join([*lines, *(f"  {name}" for name in report.changed)])


def _upgraded(result: UpgradeResult) -> str:
    lines = []
    if result.server_after:
        lines.append(
            f"PostgreSQL {result.server_before} → {result.server_after}:"
            f" {count(len(result.organizations), 'organization')} brought over"
        )
    if result.before == result.after:
        return "\n".join([*lines, f"schema {result.after}: up to date"])
    head = f"schema {result.before} → {result.after}"
    return "\n".join([*lines, head, *(f"  {name}" for name in result.applied)])
