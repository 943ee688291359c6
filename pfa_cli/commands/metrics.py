"""`pfa metrics`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import IoFailure
from pfa_core.files.replacing import replacing

if TYPE_CHECKING:
    from pfa_core.admin.metrics import Metric

app = typer.Typer(rich_markup_mode=None)

_COLUMNS = ("name", "labels", "value")
_FOR_ALL = 0o644


@command(
    app,
    "metrics",
    examples=(
        "pfa metrics",
        "pfa metrics --textfile /var/lib/node_exporter/textfile/pfa.prom",
        "pfa metrics -o json",
    ),
    exit_codes="74 the file cannot be written.",
    columns=_COLUMNS,
)
def metrics(
    call: Invocation,
    talk: Talk,
    textfile: Annotated[
        Path | None,
        typer.Option(
            "--textfile",
            metavar="FILE",
            help="Replace this file, for the textfile collector of node_exporter.",
        ),
    ] = None,
) -> None:
    """Show metrics of the organization in the text format of Prometheus."""
    database, principal = call.open()
    found = core.collect(database, principal)
    text = core.exposition(found)
    if textfile:
        write_textfile(textfile, text)
        return
    sheet = Sheet(
        id_column="name",
        columns=_COLUMNS,
        items=list(_samples(found)),
        envelope=Data(found, metadata(call, talk)),
        text=lambda: text.removesuffix("\n"),
    )
    show(sheet, call.look(Format.TABLE))


def write_textfile(path: Path, text: str) -> None:
    """Replace a file atomically, readable by every user.

    The new file is written beside it under a name that node_exporter does not read. A symbolic link
    stays and leads to the new file.

    Raises:
        IoFailure: It cannot be written, or its place is taken by something else than a file.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise IoFailure(f"{path} is not a regular file")
    with replacing(path, mode=_FOR_ALL) as file:
        file.write(text.encode())


def _samples(found: Iterable[Metric]) -> Iterable[dict[str, Any]]:
    for metric in found:
        for sample in metric.samples:
            yield {"name": metric.name, "labels": sample.labels, "value": sample.value}
