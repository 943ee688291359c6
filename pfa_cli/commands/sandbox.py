"""`pfa sandbox`: a practice PEMS."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import ConfigInvalid
from pfa_core.model import shell

if TYPE_CHECKING:
    from pfa_core.errors import Fault
    from pfa_core.files.baseline import RawRecord
    from pfa_core.pems.sandbox.http import Request, Response
    from pfa_core.pems.sandbox.server import Sandbox

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "sandbox",
    effect=Effect.IMMEDIATE,
    examples=(
        "pfa sandbox --org HOLNG --load mirror.jsonl --state pems.state --port 8090",
        "pfa sandbox --load grid-1.json grid-2.json --field-map grid-map.toml",
        "pfa sandbox --load mirror.jsonl --fault 429:0.1:retry-after=2:on=rest",
        "pfa sandbox --load mirror.jsonl --fault rounds --fault cuts:1:length=20",
        "pfa sandbox --load mirror.jsonl --fault reset-after:1:times=3 --seed 7",
    ),
    exit_codes="9 a file to load is invalid; 74 the port is taken; 75 the state is in use; "
    "130 and 143 when it is ended.",
    columns=("url",),
)
def sandbox(
    call: Invocation,
    talk: Talk,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="More files, after --load FILE.")
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="Port to listen on; 0: a free one."
        ),
    ] = 0,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Keep records and write log across restarts."),
    ] = None,
    load: Annotated[
        list[str] | None,
        typer.Option(
            "--load",
            metavar="FILE",
            help="Baseline file or saved grid response; known records are kept.",
        ),
    ] = None,
    field_map: Annotated[
        Path | None,
        typer.Option(
            "--field-map", metavar="FILE", help="TOML file that maps grid aliases to fields."
        ),
    ] = None,
    username: Annotated[
        str | None,
        typer.Option(
            "--username",
            metavar="NAME",
            help="Require it, with the password of PFA_PEMS_PASSWORD_FILE or PFA_PEMS_PASSWORD.",
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="NAME", help="Require this tenant header.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="SPEC",
            help="latency:50ms, or KIND[:PROBABILITY] of 423, 425, 429, 500, 503, reset-before, reset-after, "
            "truncate, slow, alert, rounds, cuts, capitals; then :on=grid|rest|screen|health, :times=N, :after=N, "
            ":retry-after=S, :pause=5ms, :length=N. May be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed for random faults.")] = 0,
    rows: Annotated[
        Literal["cell", "d"],
        typer.Option("--rows", metavar="cell|d", help="Shape of grid rows: cell or d."),
    ] = "cell",
    totals: Annotated[
        Literal["text", "rows", "none"],
        typer.Option(
            "--totals",
            metavar="text|rows|none",
            help="The grid's total: text, rows or none.",
        ),
    ] = "text",
    *,
    idempotency: Annotated[
        bool, typer.Option("--idempotency/--no-idempotency", help="Support Idempotency-Key.")
    ] = True,
    representation: Annotated[
        bool,
        typer.Option(
            "--representation/--no-representation",
            help="Answer a write with the stored values, where the request prefers it.",
        ),
    ] = True,
) -> None:
    """Run a practice PEMS on this machine until it is interrupted.

    Prints its address; GET ADDRESS/sandbox/log lists every write, PUT ADDRESS/sandbox/faults changes
    the faults, PUT ADDRESS/sandbox/records/ID a record.
    """
    from pfa_core.pems.mapping.field_map import read_field_map
    from pfa_core.pems.sandbox.grid import DEFAULT_MAP
    from pfa_core.pems.sandbox.server import RowShape, Sandbox, Totals

    aliases = read_field_map(field_map) if field_map else DEFAULT_MAP
    with Sandbox(
        port=port,
        state=state,
        records=_arrivals([*(load or ()), *(more or ())], aliases),
        organization=call.settings.organization,
        tenant=tenant,
        username=username,
        password=_password(os.environ) if username else None,
        faults=fault or (),
        seed=seed,
        with_keys=idempotency,
        shows_writes=representation,
        field_map=aliases,
        shape=RowShape(rows),
        totals=Totals(totals),
        watcher=_print_response if call.common.verbose else None,
    ) as pems:
        _show_address(call, talk, pems)
        threading.Event().wait()


def _arrivals(paths: Sequence[str], aliases: Mapping[str, str]) -> Iterator[RawRecord | Fault]:
    from pfa_core.files.baseline import GridAnswer, RawRecord, Unchanged, read_baseline
    from pfa_core.pems.services.grid import decode_page

    for path in paths:
        for item in read_baseline(path):
            if isinstance(item, GridAnswer):
                for number, row in enumerate(decode_page(item.content, aliases).rows, 1):
                    yield RawRecord(row, f"{path} row {number}", textual=True)
            elif not isinstance(item, Unchanged):  # there is none without a recognizer
                yield item


def _password(environ: Mapping[str, str]) -> str | None:
    from pfa_core.config.settings import read_secret_file
    from pfa_core.model.secret import why_unsendable

    name = "PFA_PEMS_PASSWORD_FILE"
    file = environ.get(name)
    if file:
        found = read_secret_file(Path(file).expanduser())
    else:
        name = "PFA_PEMS_PASSWORD"
        found = environ.get(name) or None
    unsendable = why_unsendable(found or "")
    if unsendable:
        raise ConfigInvalid(f"the password of PEMS in {name} {unsendable}")
    return found


def _show_address(call: Invocation, talk: Talk, pems: Sandbox) -> None:
    item = {"url": pems.url}
    sheet = Sheet(
        id_column="url",
        columns=("url",),
        items=[item],
        envelope=Data(item),
        text=lambda: pems.url,
    )
    show(sheet, call.look(Format.TABLE, answers=True))
    streams.flush()
    talk.say(f"PEMS sandbox with {count(len(pems.records), 'record')}; Ctrl-C ends it")
    talk.hint(f"export PFA_PEMS_URL={shell.word(pems.url)}")


def _print_response(request: Request, response: Response) -> None:
    streams.tell(visible(f"{request.method} {request.path} {response.status}"))
