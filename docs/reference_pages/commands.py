"""Pages of the commands, and of the options that many have."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from docs.reference_pages.markdown import MADE, page, table
from docs.reference_pages.sections import section_of
from pfa_cli.app import app
from pfa_cli.framework.filters import FILTERS
from pfa_cli.framework.help import EVERYWHERE
from pfa_cli.framework.notation import NOTATION
from pfa_cli.framework.paging import PAGING


@cache
def walk() -> tuple[tuple[str, Any, Any], ...]:
    """Every command that does something: its whole name, itself, its context."""
    root = typer.main.get_command(app)
    return tuple(_walk("pfa", root, typer.Context(root, info_name="pfa")))


def _walk(name: str, command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    if not hasattr(command, "list_commands"):
        yield name, command, context
        return
    for word in command.list_commands(context):
        inner = command.get_command(context, word)
        inner_context = typer.Context(inner, info_name=word, parent=context)
        yield from _walk(f"{name} {word}", inner, inner_context)


def commands(section: str) -> str:
    """The commands of a section: usage, options, examples, exit codes."""
    return page(f"# Commands: {section}", MADE, *_commands(section))


def _commands(section: str) -> Iterator[str]:
    inside = [item for item in walk() if section_of(item[0]) == section]
    yield " · ".join(
        f"[{name.removeprefix('pfa ')}](#{name.replace(' ', '-')})" for name, _, _ in inside
    )
    for name, command, context in inside:
        yield f"## {name}"
        yield f"```\n{_usage(name, command)}\n```"
        yield inspect.cleandoc(command.help or "")
        own = [param for param in command.get_params(context) if panel_of(param) == ""]
        if own:
            yield table(("", "means"), (_option(param) for param in own))
        yield from _also(command, context)
        yield from _epilog(command)


def _usage(name: str, command: Any) -> str:
    words = [
        param.metavar or param.name.upper()
        for param in command.params
        if param.param_type_name == "argument"
    ]
    return " ".join([name, "[OPTIONS]", *words])


def panel_of(param: Any) -> str:
    """The heading under which the help shows a parameter; empty for the command's own."""
    return getattr(param, "rich_help_panel", None) or ("help" if param.name == "help" else "")


def _option(param: Any) -> tuple[str, str]:
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`", param.help or ""
    names = "/".join([", ".join(param.opts), *param.secondary_opts])
    metavar = "" if param.is_flag else f" {param.metavar or 'N'}"
    words = [param.help or ""]
    if param.required:
        words.append("Required.")
    elif not param.is_flag and isinstance(param.default, str | int) and param.default != "":
        words.append(f"Default: `{param.default}`.")
    return f"`{names}{metavar}`", " ".join(word for word in words if word)


def _also(command: Any, context: Any) -> Iterator[str]:
    panels = {panel_of(param) for param in command.get_params(context)}
    links = []
    if FILTERS in panels:
        links.append("[filters](options.md#filters)")
    if PAGING in panels:
        links.append("[order and amount](options.md#order-and-amount)")
    if NOTATION in panels:
        links.append("[notation](options.md#notation)")
    links.append("[options everywhere](options.md#options-everywhere)")
    if any(param.name == "dry_run" for param in command.params):
        links[-1] += " with `-n`"
    yield f"Also: {', '.join(links)}."


def _epilog(command: Any) -> Iterator[str]:
    examples, _, codes = (command.epilog or "").partition("Exit codes: ")
    lines = [line.strip() for line in examples.splitlines() if line.startswith("  ")]
    if lines:
        yield "```sh\n" + "\n".join(lines) + "\n```"
    if codes:
        yield f"Exit codes beside the usual ones: {codes.strip()}"


def shared_options() -> Iterator[str]:
    """Describe the options that many commands have, by panel of the help."""
    panels = {
        EVERYWHERE: (
            "Options everywhere",
            "Before or after the command; the inner one wins. `-n` on every command that writes.",
        ),
        FILTERS: (
            "Filters",
            "All on merged values. Several options narrow (and), one option repeated widens (or). "
            "A value is taken whole, commas and quotes included. Dates are inclusive, on the "
            "forecast. A value that exists nowhere is not an error: no rows, and a hint with the "
            "nearest one.",
        ),
        PAGING: (
            "Order and amount",
            "Ties are broken by pfaId, nulls come last either way, order is by code point.",
        ),
        NOTATION: (
            "Notation",
            "Of a table or workbook that is read. What is not said is read where it can be read in one way "
            "only; else it is refused with the option to add.",
        ),
    }
    found: dict[str, dict[str, Any]] = {panel: {} for panel in panels}
    for _, command, context in walk():
        for param in command.get_params(context):
            if panel_of(param) in found:
                found[panel_of(param)].setdefault(param.name, param)
    for panel, (title, text) in panels.items():
        yield f"## {title}"
        yield text
        yield table(("option", "means"), map(_option, found[panel].values()))
