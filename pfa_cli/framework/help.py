"""Help pages: options in named sections, examples line by line."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

EVERYWHERE = "Options everywhere, before or after the command"


class Command(TyperCommand):
    """A command whose help shows options by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write each group of options under its own heading."""
        _write_sections(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write examples and exit codes line by line."""
        _write_epilog(self, formatter)


class Group(TyperGroup):
    """A group of commands; `default` runs where none is named."""

    default = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line of the group."""
        named = any(word in self.commands or word in ("-h", "--help") for word in args)
        if self.default and not named:
            args = [*args, self.default]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then each group of options under its own heading."""
        self.format_commands(ctx, formatter)
        _write_sections(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write examples line by line."""
        _write_epilog(self, formatter)


def epilog(examples: tuple[str, ...], exit_codes: str) -> str:
    """Format the text below the options."""
    parts = []
    if examples:
        parts.append("\n".join(("Examples:", *(f"  {line}" for line in examples))))
    if exit_codes:
        parts.append(f"Exit codes: {exit_codes}")
    return "\n\n".join(parts)


def _write_sections(command: Any, ctx: typer.Context, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            sections.setdefault(_section(param), []).append(record)
    for title in sorted(sections, key=lambda title: title == EVERYWHERE):
        with formatter.section(title):
            formatter.write_dl(sections[title])


def _section(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    panel = getattr(param, "rich_help_panel", None)
    return panel or (EVERYWHERE if param.name == "help" else "Options")


def _write_epilog(command: Any, formatter: Any) -> None:
    if command.epilog:
        formatter.write("\n" + command.epilog + "\n")
