"""`pfa schema`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_cli.schemas import line_of, names, read_schema
from pfa_cli.schemas.keys import keys_of
from pfa_core.errors import InvalidRequest
from pfa_core.model.suggest import nearest

app = typer.Typer(rich_markup_mode=None)
LIST = "list"
_LISTED = ("name", "version", "commands", "means")
_KEYS = ("key", "type", "unit", "presence", "means")


@command(
    app,
    "schema",
    examples=(
        "pfa schema list",
        "pfa schema records",
        "pfa schema draft save",
        "pfa schema records --line > record.schema.json",
        "pfa schema stats -o table",
    ),
    exit_codes="2 there is no such schema.",
)
def schema(
    call: Invocation,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="A schema, or a command; list: all of them."),
    ] = None,
    *,
    line: Annotated[
        bool, typer.Option("--line", help="The schema of one line of -o jsonl.")
    ] = False,
) -> None:
    """Show the JSON Schema of what a command writes or reads.

    The schema is JSON unless another format is asked for: those list its keys. A key is never renamed or
    removed within the first number of its schema's version; new ones raise the second.
    """
    wanted = " ".join(words or [LIST])
    if wanted == LIST:
        if line:
            raise InvalidRequest("--line needs the name of a schema", hint="type: pfa schema list")
        _show_list(call)
        return
    found = _found(wanted)
    if line:
        found = line_of(found)
        if found is None:
            raise InvalidRequest(f"{wanted} has no lines: it is not written as jsonl")
    _show_schema(call, found)


def _found(wanted: str) -> dict[str, Any]:
    """Find a schema by its name, else by the command that writes it.

    Raises:
        InvalidRequest: There is none, or there are several.
    """
    if wanted in names():
        return read_schema(wanted)
    of_command = [name for name in names() if wanted in read_schema(name)["x-commands"]]
    if len(of_command) == 1:
        return read_schema(of_command[0])
    if of_command:
        raise InvalidRequest(
            f"pfa {wanted} has several schemas: {', '.join(of_command)}",
            hint=f"type: pfa schema {of_command[-1]}",
        )
    near = nearest(wanted, [*names(), *_commands()])
    raise InvalidRequest(f"unknown schema {wanted!r}", hint=f"type: pfa schema {near or LIST}")


def _commands() -> list[str]:
    return [command for name in names() for command in read_schema(name)["x-commands"]]


def _show_list(call: Invocation) -> None:
    call.require_columns(_LISTED)
    items = [_listed(name) for name in names()]
    sheet = Sheet(
        id_column="name",
        columns=_LISTED,
        items=items,
        rows=[{**item, "commands": ", ".join(item["commands"])} for item in items],
        envelope=Data(items),
    )
    show(sheet, call.look(Format.TSV))


def _listed(name: str) -> dict[str, Any]:
    found = read_schema(name)
    return {
        "name": name,
        "version": found["x-version"],
        "commands": found["x-commands"],
        "means": found["description"],
    }


def _show_schema(call: Invocation, found: dict[str, Any]) -> None:
    call.require_columns(_KEYS)
    rows = [document(key) for key in keys_of(found)]
    sheet = Sheet(id_column="key", columns=_KEYS, items=rows, envelope=found)
    look = call.look(Format.JSON)
    chosen = call.common.output or call.common.columns or call.common.header
    show(sheet, look if chosen else replace(look, format=Format.JSON))
