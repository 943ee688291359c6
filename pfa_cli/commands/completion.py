"""`pfa completion`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pfa_cli.completion.install import SHELLS, install, script_of, shell_of
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

app = typer.Typer(rich_markup_mode=None)
_SCRIPT = ("shell", "script")
_INSTALLED = ("shell", "scriptFile", "startupFile", "changed")


@command(
    app,
    "completion",
    effect=Effect.IMMEDIATE,
    examples=(
        "pfa completion --install",
        'eval "$(pfa completion bash)"',
        "pfa completion fish > ~/.config/fish/completions/pfa.fish",
    ),
    exit_codes="2 a shell that has none; 74 a file cannot be written.",
)
def completion(
    call: Invocation,
    talk: Talk,
    shell: Annotated[
        str,
        typer.Argument(metavar="[SHELL]", help=f"{', '.join(SHELLS)}; default: your login shell."),
    ] = "",
    *,
    installing: Annotated[
        bool,
        typer.Option("--install", help="Write it for your shell, and load it in every new one."),
    ] = False,
) -> None:
    """Print the completion of your shell, or install it.

    TAB then completes commands, options, states, fields, columns, and what your commands have seen:
    categories, areas, manufacturers, models, contracts, change sets, records, runs, users. These values
    are kept in a small file for each organization in your cache directory (no money), which may be deleted
    at any time. A completion never connects to anything.
    """
    name = shell_of(shell, os.environ)
    call.require_columns(_INSTALLED if installing else _SCRIPT)
    if not installing:
        item = {"shell": name, "script": script_of(name)}
        sheet = Sheet(
            id_column="shell",
            columns=_SCRIPT,
            items=[item],
            envelope=Data(item),
            text=lambda: item["script"].rstrip("\n"),
        )
        show(sheet, call.look(Format.TABLE, answers=True))
        return
    done = install(name, call.settings.config_dir, os.environ)
    call.note_stored()
    show_facts(document(done), call.look(Format.TABLE), id_column="shell")
    if done.changed:
        talk.say(f"next: open a new {name}, or type: exec {name}")
