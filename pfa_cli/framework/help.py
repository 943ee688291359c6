"""Help pages: options in named sections, examples line by line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from pfa_cli.framework.loading import built
from pfa_core.errors import InvalidRequest

EVERYWHERE = "Options everywhere, before or after the command"
HELP_OF_OPTIONS = "pfa help options"
_CODES = "Exit codes: "
# As alike as a name and its misspelling are: "config" is not meant for "conflict".
_SAME_WORD = 0.75
_ITS_NAME = re.compile(r"pfa(?: [a-z]+)+")
# How the parser writes the bounds of a number.
_BETWEEN = re.compile(r"\b(\d+)<=x<=(\d+)\]")
_AT_LEAST = re.compile(r"\bx>=(\d+)\]")


class Command(TyperCommand):
    """A command whose help shows examples, then its own options by group."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; refuse an option of one value that is given twice.

        The last one would count. Those of every command may be in an alias and are replaced behind it.
        """
        parser = self.make_parser(ctx)
        given: list[Any] = parser.parse_args(args=list(args))[2] if len(args) > 1 else []
        rest = super().parse_args(ctx, args)
        seen: set[str] = set()
        for param in given:
            if param.param_type_name != "option" or _repeats(param):
                continue
            if param.name in seen and _section(param) != EVERYWHERE:
                ctx.fail(f"{param.opts[0]} is given twice: it takes one value")
            seen.add(param.name)
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does, its examples, its options and its exit codes."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        _write_examples(self, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write each group of options under its own heading."""
        _write_sections(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write the exit codes, and where the options of every command are."""
        _write_end(self, formatter)


def _repeats(option: Any) -> bool:
    """Return whether an option may be given again, as a flag without its opposite."""
    return option.multiple or option.count or (option.is_flag and not option.secondary_opts)


class Group(TyperGroup):
    """A group of commands; `default` runs where none is named.

    `modules` are those of commands that are registered with `home` when they are named.
    """

    default = ""
    without_words: tuple[str, ...] = ("--help",)
    modules: Mapping[str, str] = {}
    home: typer.Typer

    def list_commands(self, ctx: Any) -> list[str]:
        """List every command, loaded or not."""
        return list(self.modules) or super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Load the module of a command and return the command; all of them to suggest one."""
        for name in (cmd_name,) if cmd_name in self.modules else self.modules:
            if name not in self.commands:
                import_module(self.modules[name])
                self.commands[name] = built(self.home, name)
        return self.commands.get(cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line of the group."""
        names = self.list_commands(ctx)
        named = any(word in names or word in ("-h", "--help") for word in args)
        if self.default and not named:
            args = [*args, self.default]
        return super().parse_args(ctx, args or list(self.without_words))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names.

        Raises:
            InvalidRequest: There is none of that name; the closest one is suggested, or all of a group.
        """
        name, names = args[0], self.list_commands(ctx)
        if name not in names and not name.startswith("-"):
            _refuse_command(ctx.command_path.split()[1:], args, names)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with the first sentence of each, whole."""
        commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        rows = [
            (one.name or "", (one.help or "").partition("\n\n")[0].replace("\n", " "))
            for one in commands
            if one is not None and not one.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then each group of options under its own heading."""
        self.format_commands(ctx, formatter)
        _write_sections(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write examples line by line, and where the options of every command are."""
        _write_examples(self, formatter)
        _write_end(self, formatter)


def _refuse_command(group: Sequence[str], args: Sequence[str], names: Sequence[str]) -> NoReturn:
    """Refuse a word that names no command of a group.

    Args:
        group: The words that name the group.
    """
    from pfa_cli.framework.other_names import OTHER_NAMES
    from pfa_core.model.suggest import nearest

    written = " ".join((*group, args[0]))
    near = nearest(args[0], names, _SAME_WORD)
    meant = OTHER_NAMES.get(written) or (" ".join(("pfa", *group, near)) if near else "")
    if "--help" in args[1:] and (name := _ITS_NAME.match(meant)):
        meant = name[0].replace("pfa", "pfa help", 1)
    if not meant:
        meant = " ".join(("pfa", *group, "--help"))
        meant += f"; its commands: {', '.join(names)}" if group else ""
    raise InvalidRequest(f"unknown command {written!r}", hint=f"type: {meant}")


def epilog(examples: tuple[str, ...], exit_codes: str) -> str:
    """Format the text below the options."""
    parts = []
    if examples:
        parts.append("\n".join(("Examples:", *(f"  {line}" for line in examples))))
    if exit_codes:
        parts.append(f"Exit codes: {exit_codes}")
    return "\n\n".join(parts)


def write_common(command: Any, ctx: typer.Context, formatter: Any) -> None:
    """Write the options that every command has."""
    formatter.write(f"{EVERYWHERE}:\n")
    with formatter.indentation():
        formatter.write_dl(_records(command, ctx).get(EVERYWHERE, []))


def _write_sections(command: Any, ctx: typer.Context, formatter: Any) -> None:
    for title, records in _records(command, ctx).items():
        if title != EVERYWHERE:
            with formatter.section(title):
                formatter.write_dl(records)


def _records(command: Any, ctx: typer.Context) -> dict[str, list[tuple[str, str]]]:
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            record = (record[0], _with_bounds(record[1]))
            # Not every command has a dry run: those that do show it.
            own = param.name == "dry_run" and not isinstance(command, Group)
            sections.setdefault("Options" if own else _section(param), []).append(record)
    return sections


def _with_bounds(text: str) -> str:
    """Say the bounds of a number in words."""
    return _AT_LEAST.sub(r"from \1]", _BETWEEN.sub(r"\1 to \2]", text))


def _section(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    panel = getattr(param, "rich_help_panel", None)
    return panel or (EVERYWHERE if param.name == "help" else "Options")


def _write_examples(command: Any, formatter: Any) -> None:
    examples = (command.epilog or "").partition(_CODES)[0].strip()
    if examples:
        formatter.write(f"\n{examples}\n")


def _write_end(command: Any, formatter: Any) -> None:
    _, codes, text = (command.epilog or "").partition(_CODES)
    if codes:
        formatter.write_paragraph()
        formatter.write_text(f"{codes}{' '.join(text.split())}")
    formatter.write(f"\nOptions of every command: {HELP_OF_OPTIONS}\n")
