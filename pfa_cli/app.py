"""The program `pfa`: lookup of the command, its run, exit code of every failure.

A command's module is loaded when the command is named, so that a scheduled run pays for one of them and
`--version` for none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer

from pfa_cli import __version__, exit_codes
from pfa_cli.commands.catalog import COMMANDS, SECTIONS
from pfa_cli.framework.common import Common, Line
from pfa_cli.framework.compose import takes_common
from pfa_cli.framework.help import Group, write_common
from pfa_cli.framework.loading import built
from pfa_cli.framework.signals import Terminated, terminable
from pfa_cli.render import streams
from pfa_cli.render.formats import ErrorFormat, Format
from pfa_cli.render.streams import Color

EPILOG = """Examples:
  pfa init --org HOLNG
  pfa sync pull --from mirror.jsonl
  pfa list --category Crane
  pfa draft save delta.json
  pfa commit --session weather-silo4

Exit codes: 0 done, 1 bug, 2 command line, 3 partly done, 4 not signed in, 5 not allowed,
  6 not found, 7 conflict, 9 input invalid, 10 differs, 69 unavailable, 74 file or stdout,
  75 busy, 76 outcome unknown, 78 configuration, 130 interrupted, 141 reader gone,
  143 terminated."""

STORED = "the change is stored"


class Program(Group):
    """The outermost group: commands from the catalog, loaded when named."""

    without_words = ()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """List every command, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Load the module of a command and return the command."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            module = import_module(f"pfa_cli.commands.{COMMANDS[cmd_name].module}")
            self.commands[cmd_name] = built(module.app, cmd_name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write the commands and their summaries without loading one."""
        names = list(COMMANDS)
        begins = [names.index(first) for first in SECTIONS.values()]
        width = max(map(len, names))
        for title, begin, end in zip(SECTIONS, begins, [*begins[1:], None], strict=True):
            with formatter.section(title):
                rows = [(f"{name:{width}}", COMMANDS[name].summary) for name in names[begin:end]]
                formatter.write_dl(rows)


app = typer.Typer(
    cls=Program,
    add_completion=False,  # `pfa completion`: typer's takes as long as a command
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    """Print the version and end."""
    if wanted:
        streams.write(f"pfa {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@takes_common
def program(
    ctx: typer.Context,
    *,
    version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Plan, forecast and actuals over a mirror of PEMS, with private drafts."""
    del version_wanted
    if ctx.invoked_subcommand is None:
        streams.write(ctx.get_help() + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    line = Line(main, is_ascii=all(map(str.isascii, arguments)))
    streams.prepare()
    try:
        with terminable():
            code = _run(arguments, line)
            streams.flush()
            return code
    except KeyboardInterrupt as interrupt:
        _say_kept(interrupt, line)
        return (
            exit_codes.TERMINATED if isinstance(interrupt, Terminated) else exit_codes.INTERRUPTED
        )
    except BrokenPipeError:
        streams.abandon()
        if line.has_stored():
            streams.tell(f"note: the reader of stdout is gone; {STORED}")
        return exit_codes.READER_GONE
    except Exception as error:
        return _fail(error, arguments, line)


@cache
def _root() -> Any:
    """Make the outermost group, which keeps the commands that were loaded.

    A process may run several lines: the tests, a program that makes sessions.
    """
    return typer.main.get_command(app)


def _run(arguments: list[str], line: Line) -> int:
    root = _root()
    if arguments[:1] == ["help"]:
        if arguments[1:] == ["options"]:
            return _help_options(root, line)
        arguments = [*arguments[1:], "--help"]
    try:
        with root.make_context("pfa", list(arguments), obj=line) as ctx:
            return root.invoke(ctx) or 0
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return exit_codes.INTERRUPTED


def _say_kept(interrupt: KeyboardInterrupt, line: Line) -> None:
    """Say what an interrupted write has stored."""
    notes = getattr(interrupt, "__notes__", ())
    if not notes and line.is_writing:
        notes = (f"interrupted, {STORED if line.has_stored() else 'nothing was stored'}",)
    for note in notes:
        streams.tell(note)


def _help_options(root: Any, line: Line) -> int:
    with root.make_context("pfa", ["--help-options"], obj=line, resilient_parsing=True) as ctx:
        formatter = ctx.make_formatter()
        write_common(root, ctx, formatter)
        streams.write(formatter.getvalue())
    return 0


def _fail(error: Exception, arguments: Sequence[str], line: Line) -> int:
    from pfa_cli.render import failures  # most commands have none

    common = _error_options(arguments).over(line.common)
    failure = failures.of_exception(error)
    if streams.is_of_stdout(error) and line.has_stored():
        failure = replace(failure, message=f"{failure.message}; {STORED}")
    if isinstance(error, OSError):
        streams.abandon()
    try:
        if common.debug:
            failures.report_trace(error)
        failures.report(failure, common.error_style, common.color or Color.AUTO)
    except OSError:
        streams.abandon()
    return failure.exit_code


def _error_options(arguments: Sequence[str]) -> Common:
    """Read the options for errors from arguments that may be impossible to parse."""
    values: dict[str, Any] = {}
    for word, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if word == "--":
            break
        name, equals, attached = word.partition("=")
        value = attached if equals else following
        if name == "--error-format" and value in list(ErrorFormat):
            values["error_format"] = ErrorFormat(value)
        elif name in ("-o", "--output") and value in list(Format):
            values["output"] = Format(value)
        elif word.startswith("-o") and word[2:] in list(Format):
            values["output"] = Format(word[2:])
        elif word == "--debug":
            values["debug"] = True
    return Common(**values)
