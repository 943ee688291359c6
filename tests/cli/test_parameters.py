"""Parameters that messages of the library name, as options of the command line."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from pfa_cli.app import app
from pfa_cli.parameters import OPTIONS, option_of, with_options
from pfa_cli.render import failures
from pfa_cli.render.formats import ErrorFormat
from pfa_core.errors import Fault, FaultCode, InvalidRequest


def options_of(command: Any, context: Any) -> set[str]:
    """Every option of the command and of those below it."""
    inner = [command.get_command(context, name) for name in getattr(command, "commands", ())]
    if hasattr(command, "list_commands"):
        inner = [command.get_command(context, name) for name in command.list_commands(context)]
    names = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return names.union(*(options_of(found, typer.Context(found)) for found in inner))


@pytest.mark.slow
def test_every_parameter_has_an_option_that_some_command_takes() -> None:
    program = typer.main.get_command(app)
    known = options_of(program, typer.Context(program))
    named = {option.split()[0] for option in OPTIONS.values() if option.startswith("--")}
    assert named - known == set()


@pytest.mark.parametrize(
    ("message", "worded"),
    [
        ("nothing is selected", "nothing is selected"),
        ("give `session_id`, `ids` or `everything`", "give --session, --id or --all"),
        ("`move=True` moves it", "--move moves it"),
        ("`actualized=False` excludes them", "--no-actualized excludes them"),
        ("`if_locked=wait` waits", "--if-locked wait waits"),
        (
            "`baseline` cannot be combined with `state`, `session` or `changed`",
            "--baseline cannot be combined with --state, --session or --changed",
        ),
        ("see `pfa auth list`", "see `pfa auth list`"),
        ("the field `monthlyRate` and `unheard_of`", "the field `monthlyRate` and `unheard_of`"),
    ],
)
def test_a_parameter_in_backquotes_becomes_its_option(message: str, worded: str) -> None:
    assert with_options(message) == worded


def test_an_unknown_parameter_has_no_option() -> None:
    assert option_of("unheard_of") == ""


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (InvalidRequest("must be above 0", parameter="rate"), "must be above 0 (--rate)", ""),
        (InvalidRequest("`rate` must be above 0", parameter="rate"), "--rate must be above 0", ""),
        (
            InvalidRequest("in conflict", hint="commit the others: `partial`", parameter="partial"),
            "in conflict",
            "commit the others: --partial",
        ),
        (InvalidRequest("no such thing", parameter="unheard_of"), "no such thing", ""),
        (InvalidRequest("no such thing"), "no such thing", ""),
    ],
)
def test_an_error_names_the_option_at_fault_once(
    error: InvalidRequest, message: str, hint: str
) -> None:
    failure = failures.of_exception(error)
    assert (failure.message, failure.hint, failure.exit_code) == (message, hint, 2)


@pytest.mark.parametrize("style", ErrorFormat)
def test_a_single_fault_names_the_option_too(
    style: ErrorFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "in session s; `move=True` moves it"
    fault = Fault("A-1", "", FaultCode.SESSION_MISMATCH, message)
    failures.report(failures.of_exception(InvalidRequest("bad", details=[fault])), style)
    assert "in session s; --move moves it" in capsys.readouterr().err
