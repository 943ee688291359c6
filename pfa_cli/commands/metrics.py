"""`pfa metrics`: the organization in numbers, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import command
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import IoFailure

if TYPE_CHECKING:
    from pfa_core.admin.metrics import Metric

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "metrics",
    examples=(
        "pfa metrics",
        "pfa metrics --textfile /var/lib/node_exporter/textfile/pfa.prom",
        "pfa metrics -o json",
    ),
    exit_codes="74 the file cannot be written.",
)
def metrics(
    call: Call,
    textfile: Annotated[
        Path | None,
        typer.Option(
            "--textfile",
            metavar="FILE",
            help="Replace this file as a whole, for node_exporter's textfile collector.",
        ),
    ] = None,
) -> None:
    """Show the organization's state in numbers, in the text format of Prometheus."""
    database, principal = call.open()
    found = core.collect(database, principal)
    text = core.exposition(found)
    if textfile:
        write_textfile(textfile, text)
        return
    sheet = Sheet(
        id_column="name",
        columns=("name", "labels", "value"),
        items=list(_samples(found)),
        document=lambda: {"data": document(found), "metadata": call.metadata()},
        text=lambda: text.removesuffix("\n"),
    )
    show(sheet, call.look(Format.TABLE))


def write_textfile(path: Path, text: str) -> None:
    """Put the text where everybody may read it: the whole file is the new one, or still the old.

    Made beside it under a name that node_exporter does not read. A link stays and leads to the new
    file.

    Raises:
        IoFailure: It cannot be written, or something that is no file is in its place.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            raise IoFailure(f"{path} is no regular file")
        _replace(target, text)
    except OSError as error:
        raise IoFailure(f"{path} cannot be written: {error.strerror}") from error


def _replace(target: Path, text: str) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o644)  # whatever the umask
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _samples(found: Iterable[Metric]) -> Iterable[dict[str, Any]]:
    for metric in found:
        for sample in metric.samples:
            yield {"name": metric.name, "labels": sample.labels, "value": sample.value}
