"""`pfa sample`: the files of the demo, to practise with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.writes import SampleFile, SampleStatus
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import IoFailure
from pfa_core.model import shell

app = typer.Typer(rich_markup_mode=None)
FILES: Mapping[str, str] = {
    "mirror.jsonl": "240 equipment lines, for pfa sync pull",
    "mirror-next-day.jsonl": "the same a day later: PEMS changed 16",
    "delta-weather.json": "27 lines of Silo 4 delayed by 14 days",
    "delta-faulty.json": "four faults, for pfa draft save to reject",
    "field-map.toml": "the default names of PEMS's fields",
}
_COLUMNS = ("file", "status", "means")


@command(
    app,
    "sample",
    effect=Effect.IMMEDIATE,
    examples=("pfa sample", "pfa sample tour && cd tour", "pfa sample tour --replace"),
    exit_codes="74 a file of that name has another content, or cannot be written.",
    columns=_COLUMNS,
)
def sample(
    call: Invocation,
    talk: Talk,
    folder: Annotated[
        Path,
        typer.Argument(metavar="[DIR]", help="Directory to write to; made where it is not there."),
    ] = Path("practice"),
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace files of the same names.")
    ] = False,
) -> None:
    """Write the demo's files into a directory, to practise with.

    A file that is there with another content is kept, and nothing is written, unless --replace is given.
    """
    found = write_sample(folder, replace=replace)
    rows = [document(item) for item in found]
    sheet = Sheet(id_column="file", columns=_COLUMNS, items=rows, envelope=Data(found))
    show(sheet, call.look(Format.TABLE))
    talk.say(f"next: cd {shell.file(folder)} && pfa init --org DEMO")


def write_sample(folder: Path, *, replace: bool) -> list[SampleFile]:
    """Write the files of the sample, each of them whole or not at all.

    Raises:
        IoFailure: One is there with another content and `replace` is not set: nothing is written. Or the
            directory or a file cannot be written.
    """
    source = files("pfa_cli").joinpath("sample")
    contents = {name: source.joinpath(name).read_bytes() for name in FILES}
    try:
        there = {name: _content(folder / name) for name in FILES}
        changed = [name for name in FILES if there[name] not in (None, contents[name])]
        if changed and not replace:
            raise IoFailure(
                f"{folder} has other files of the names {', '.join(changed)}; nothing was written",
                hint="choose another directory, or add --replace",
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if there[name] != contents[name]:
                _write(folder / name, contents[name])
    except OSError as error:
        raise IoFailure(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from error
    return [SampleFile(name, _status(there[name], contents[name]), FILES[name]) for name in FILES]


def _content(path: Path) -> bytes | None:
    """Read a file; None where nothing has its name.

    What is not a regular file may have no end, and counts as empty.
    """
    if not os.path.lexists(path):
        return None
    return path.read_bytes() if path.is_file() else b""


def _status(before: bytes | None, now: bytes) -> SampleStatus:
    if before is None:
        return "written"
    return "unchanged" if before == now else "replaced"


def _write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
