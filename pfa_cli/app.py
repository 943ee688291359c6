"""The program `pfa`: finds the command, runs it, and turns every way to fail into a number.

Commands are loaded when they are asked for: a cron run pays for one of them, `--version` for none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from types import FrameType
from typing import Annotated, Any

import typer

from pfa_cli import exit_codes
from pfa_cli.framework.call import error_style, show_version
from pfa_cli.framework.common import Common, Line
from pfa_cli.framework.compose import takes_common
from pfa_cli.framework.help import Group
from pfa_cli.render import failures, streams
from pfa_cli.render.failures import ErrorFormat, Terminated
from pfa_cli.render.formats import Format
from pfa_cli.render.streams import Color
from pfa_core.errors import InvalidRequest

# Where each command lives, in the order of the help page.
COMMANDS = {
    "init": "members",
    "list": "records",
    "show": "records",
    "stats": "stats",
    "status": "status",
    "draft": "drafts",
    "diff": "diff",
    "commit": "lifecycle",
    "discard": "lifecycle",
    "uncommit": "lifecycle",
    "restore": "lifecycle",
    "sync": "sync",
    "conflict": "conflict",
    "log": "log",
    "metrics": "metrics",
    "auth": "auth",
    "org": "members",
    "user": "members",
    "db": "db",
    "demo": "demo",
    "sandbox": "sandbox",
    "doctor": "status",
    "version": "status",
}
GRACE_SECONDS = 10

# What newcomers type, and where it is.
ELSEWHERE = {
    "help": "pfa --help",
    "pull": "pfa sync pull",
    "save": "pfa draft save",
    "set": "pfa draft set",
    "shift": "pfa draft shift",
    "login": "pfa auth login",
    "logout": "pfa auth logout",
    "upgrade": "pfa db upgrade",
    "runs": "pfa sync runs",
}
EPILOG = """Examples:
  pfa init --org HOLNG
  pfa sync pull --from mirror.jsonl
  pfa list --category Crane
  pfa draft save delta.json
  pfa commit --session weather-silo4

Exit codes: 0 done, 1 bug, 2 command line, 3 partly done, 4 not signed in, 5 not allowed,
  6 not found, 7 conflict, 9 input invalid, 10 differs, 69 unavailable, 74 file or stdout,
  75 busy, 78 configuration, 130 interrupted, 141 reader gone, 143 terminated."""


class Program(Group):
    """The outermost group: knows the names of the commands, loads what is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """Every command, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """The command, its module imported now."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            module = import_module(f"pfa_cli.commands.{COMMANDS[cmd_name]}")
            self.commands.update(typer.main.get_group(module.app).commands)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names.

        Raises:
            InvalidRequest: There is none of that name; the nearest is suggested.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            meant = ELSEWHERE.get(name) or (f"pfa {near[0]}" if near else "pfa --help")
            hint = f"type: {meant}"
            raise InvalidRequest(f"no command {name!r}", hint=hint)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Program,
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
@takes_common
def program(
    ctx: typer.Context,
    *,
    version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Plan, forecast and actuals over a mirror of PEMS, with private drafts."""
    del version_wanted
    if ctx.invoked_subcommand is None:
        streams.write(ctx.get_help() + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    line = Line()
    streams.prepare()
    try:
        with _terminable():
            code = _run(arguments, line)
            streams.flush()
            return code
    except KeyboardInterrupt:
        return failures.INTERRUPTED
    except Terminated:
        return exit_codes.TERMINATED
    except BrokenPipeError:
        streams.abandon()
        return exit_codes.READER_GONE
    except Exception as error:
        return _fail(error, arguments, line)


def _run(arguments: list[str], line: Line) -> int:
    root = typer.main.get_command(app)
    if os.environ.get("_PFA_COMPLETE"):
        root.main(arguments, prog_name="pfa")
    try:
        with root.make_context("pfa", list(arguments), obj=line) as ctx:
            return root.invoke(ctx) or 0
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return failures.INTERRUPTED


def _fail(error: Exception, arguments: Sequence[str], line: Line) -> int:
    common = _told_so_far(arguments).over(line.common)
    failure = failures.of_exception(error)
    if isinstance(error, OSError):
        streams.abandon()
    try:
        if common.debug:
            failures.report_trace(error)
        failures.report(failure, error_style(common), common.color or Color.AUTO)
    except OSError:
        streams.abandon()
    return failure.exit_code


def _told_so_far(arguments: Sequence[str]) -> Common:
    """What the raw arguments say of errors; a line that cannot be parsed still has its wishes."""
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


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the command as an exception does: transactions roll back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        # Should the way out be blocked, a second signal or ten seconds end it: the server rolls back.
        signal.signal(signal.SIGTERM, _give_up)
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(GRACE_SECONDS)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGTERM, before)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    os._exit(exit_codes.TERMINATED)
