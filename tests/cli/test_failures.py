"""Errors: one number and one spelling each, and nothing of the inside."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import typer

import pfa_cli.framework.invocation
from pfa_cli.app import main
from pfa_cli.framework.signals import Terminated
from pfa_cli.render import failures
from pfa_cli.render.failures import Failure
from pfa_cli.render.formats import ErrorFormat
from pfa_core import errors
from pfa_core.errors import Fault

FAULT = Fault("A-1", "dor", "X", "is odd", position="line 7")
EXIT_CODES = {
    "Internal": ("INTERNAL", 1),
    "InvalidRequest": ("INVALID_REQUEST", 2),
    "NotSignedIn": ("UNAUTHORIZED", 4),
    "Unauthorized": ("UNAUTHORIZED", 4),
    "TokenExpired": ("TOKEN_EXPIRED", 4),
    "InvalidToken": ("INVALID_TOKEN", 4),
    "NotAllowed": ("FORBIDDEN", 5),
    "Forbidden": ("FORBIDDEN", 5),
    "PermissionDenied": ("PERMISSION_DENIED", 5),
    "NotFound": ("NOT_FOUND", 6),
    "NoDrafts": ("NO_DRAFTS", 6),
    "Conflict": ("VERSION_CONFLICT", 7),
    "VersionConflict": ("VERSION_CONFLICT", 7),
    "BaselineConflict": ("BASELINE_CONFLICT", 7),
    "IllegalTransition": ("ILLEGAL_TRANSITION", 7),
    "SessionMismatch": ("SESSION_MISMATCH", 7),
    "InvalidData": ("INVALID_DATA", 9),
    "DatabaseUnavailable": ("DATABASE_UNAVAILABLE", 69),
    "IoFailure": ("IO_ERROR", 74),
    "LeaseHeld": ("LEASE_HELD", 75),
    "Locked": ("LOCKED", 75),
    "ConfigInvalid": ("CONFIG_INVALID", 78),
    "SchemaOutdated": ("SCHEMA_OUTDATED", 78),
}


def subclasses(kind: type[errors.PfaError]) -> list[type[errors.PfaError]]:
    return [found for child in kind.__subclasses__() for found in (child, *subclasses(child))]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`pfa version` fails with the error given."""

    def fail_with(error: BaseException) -> None:
        def look(*_: Any) -> None:
            raise error

        monkeypatch.setattr(pfa_cli.framework.invocation.Invocation, "look", look)

    return fail_with


@pytest.mark.parametrize("kind", subclasses(errors.PfaError), ids=lambda kind: kind.__name__)
def test_every_error_has_its_exit_code_and_its_code_on_the_last_line(
    kind: type[errors.PfaError], raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, exit_code = EXIT_CODES.get(kind.__name__, (kind.code, kind.exit_code))
    raising(
        kind(
            "it went wrong",
            hint="do this",
            details=[Fault("A-1", "dor", "X", "is odd", position="line 7")],
        )
    )
    assert main(["version"]) == exit_code
    assert capsys.readouterr().err.splitlines() == [
        "  A-1 dor: is odd (line 7) [X]",
        "hint: do this",
        f"error: it went wrong [{code}]",
    ]


def test_as_json_an_error_is_one_line_with_everything(
    raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.LeaseHeld("busy", hint="wait", details=[FAULT]))
    assert main(["version", "-o", "json"]) == 75
    assert capsys.readouterr().err == (
        '{"error":{"code":"LEASE_HELD","message":"busy","exitCode":75,"retryable":true,"hint":"wait",'
        '"details":[{"pfaId":"A-1","field":"dor","code":"X","message":"is odd",'
        '"position":"line 7"}],"groups":[{"code":"X","field":"dor","message":"is odd","count":1,'
        '"examples":["A-1"]}]}}\n'
    )


def test_an_unknown_error_says_nothing_of_its_inside(
    raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(RuntimeError("postgresql://u:secret@h/d SELECT 1"))
    assert main(["version"]) == 1
    printed = capsys.readouterr().err
    assert printed.splitlines()[-1] == "error: unexpected RuntimeError [INTERNAL]"
    assert "secret" not in printed
    assert "SELECT" not in printed
    assert "--debug" in printed


def test_with_debug_the_trace_comes_before_the_error(
    raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(KeyError("x"))
    assert main(["--debug", "version"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert printed.endswith("error: unexpected KeyError [INTERNAL]\n")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (BrokenPipeError(32, "Broken pipe"), 141),
    ],
    ids=["interrupted", "terminated", "reader gone"],
)
def test_being_stopped_is_quiet(
    error: BaseException, exit_code: int, raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error)
    assert main(["version"]) == exit_code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (FileNotFoundError(2, "No such file", "delta.json"), 6),
        (PermissionError(13, "Permission denied", "delta.json"), 74),
        (IsADirectoryError(21, "Is a directory", "delta.json"), 74),
        (OSError(28, "No space left on device"), 74),
    ],
    ids=["no file", "unreadable", "directory", "disk full"],
)
def test_trouble_with_files_has_its_own_numbers(
    error: OSError, exit_code: int, raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error)
    assert main(["version"]) == exit_code


def test_control_characters_in_messages_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    failures.report(
        Failure(code="X", message="bad \x1b[31mvalue\u202e", exit_code=9), ErrorFormat.TEXT
    )
    failures.report(Failure(code="X", message="bad \x9bvalue\u202e", exit_code=9), ErrorFormat.JSON)
    text, line = capsys.readouterr().err.splitlines()
    assert text == "error: bad \\x1b[31mvalue\\u202e [X]"
    assert json.loads(line)["error"]["message"] == "bad \x9bvalue\u202e"
    assert "\x9b" not in line


def test_colour_is_only_added_to_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    failures.report(
        Failure(code="X", message="bad", exit_code=9), ErrorFormat.TEXT, failures.Color.ALWAYS
    )
    failures.report(
        Failure(code="X", message="bad", exit_code=9), ErrorFormat.TEXT, failures.Color.NEVER
    )
    colored, plain = capsys.readouterr().err.splitlines()
    assert colored != plain
    assert plain == "error: bad [X]"
    assert os.linesep not in colored


@pytest.mark.parametrize(
    "error",
    [typer.BadParameter("no such value"), typer.BadParameter.__bases__[0]("no such value")],
    ids=lambda error: type(error).__name__,
)
def test_every_error_of_the_option_parser_is_a_wrong_request(error: Exception) -> None:
    failure = failures.of_exception(error)
    assert (failure.code, failure.exit_code) == ("INVALID_REQUEST", 2)
    assert "no such value" in failure.message


def test_no_error_of_another_origin_is_taken_for_one_of_the_option_parser() -> None:
    assert failures.of_exception(ValueError("no such value")).code == "INTERNAL"


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        (Fault("X-1", "", errors.FaultCode.NOT_FOUND, "not found in HOLNG"), False),
        (Fault("X-1", "", errors.FaultCode.NOT_FOUND, "not a conflict"), True),
        (Fault("X-1", "dor", errors.FaultCode.NOT_FOUND, "not found in HOLNG"), True),
        (Fault("X-1", "", errors.FaultCode.LOCKED, "not found in HOLNG"), True),
    ],
    ids=["the same", "more", "of a field", "of another code"],
)
def test_a_detail_that_says_no_more_than_the_message_is_left_out(
    detail: Fault, shown: bool, raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.NotFound("record 'X-1' not found in HOLNG", details=[detail]))
    assert main(["version"]) == 6
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 + shown
    assert main(["version", "--error-format", "json"]) == 6
    assert len(json.loads(capsys.readouterr().err)["error"]["details"]) == 1
