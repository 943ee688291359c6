"""Errors as lines on stderr with an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from pfa_cli.parameters import option_of, with_options
from pfa_cli.render import streams
from pfa_cli.render.escape import visible, visible_json
from pfa_cli.render.formats import ErrorFormat
from pfa_cli.render.streams import Color
from pfa_core.errors import (
    Fault,
    GuardExceeded,
    GuardExcess,
    Internal,
    InvalidRequest,
    IoFailure,
    NotFound,
    PfaError,
)

if TYPE_CHECKING:
    from pfa_cli.envelopes.failures import Error


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure, ready to be reported."""

    code: str
    message: str
    exit_code: int
    retryable: bool = False
    hint: str = ""
    details: Sequence[Fault] = ()
    excesses: Sequence[GuardExcess] = ()


def of_exception(error: BaseException) -> Failure:
    """Describe an exception; one of another library shows nothing but its type."""
    if _is_usage_error(error):
        return _of_usage(error)
    if isinstance(error, OSError) and not isinstance(error, PfaError):
        error = _translate(error)
    if not isinstance(error, PfaError):
        name = type(error).__name__
        error = Internal(f"unexpected {name}", hint="add --debug to see where it was raised")
    return Failure(
        code=error.code,
        message=_message(error),
        exit_code=error.exit_code,
        retryable=error.retryable,
        hint=with_options(error.hint),
        details=error.details,
        excesses=error.excesses if isinstance(error, GuardExceeded) else (),
    )


def report(failure: Failure, style: ErrorFormat, color: Color = Color.AUTO) -> None:
    """Write the failure to stderr: as JSON, or problems, then hint, then error."""
    if style is ErrorFormat.JSON:
        streams.tell(streams.safe_json(visible_json(_json(failure)), sys.stderr))
        return
    if failure.details and not _says_it_all(failure):
        from pfa_cli.render.problems import lines

        for line in lines(failure.details):
            streams.say(line)
    if failure.hint:
        first, *more = map(visible, failure.hint.splitlines())
        streams.say("\n  ".join([f"hint: {first}", *more]))
    label = "error:"
    if streams.colored(sys.stderr, color):
        label = typer.style(label, fg="red", bold=True)
    streams.say(f"{label} {visible(failure.message)} [{failure.code}]")


def _says_it_all(failure: Failure) -> bool:
    """Tell whether the message has all that its only detail has."""
    first, *more = failure.details
    said = first.code == failure.code and first.message in failure.message
    return said and not (more or first.field or first.position) and first.pfa_id in failure.message


def report_trace(error: BaseException) -> None:
    """Write the traceback of the exception, for --debug."""
    import traceback

    text = "".join(traceback.format_exception(error)).rstrip()
    streams.tell("\n".join(map(visible, text.split("\n"))))


def _json(failure: Failure) -> str:
    import json

    from pfa_cli.render.json import document

    if failure.excesses:  # exact amounts
        from pfa_core import exact_json

        return exact_json.dumps(document(_envelope(failure)))
    return json.dumps(document(_envelope(failure)), ensure_ascii=False, separators=(",", ":"))


def _envelope(failure: Failure) -> Error:
    from pfa_cli.envelopes.failures import Error, ExceededLimit, Failed, problem_groups
    from pfa_cli.envelopes.problems import problems

    return Error(
        Failed(
            code=failure.code,
            message=failure.message,
            exit_code=failure.exit_code,
            retryable=failure.retryable,
            hint=failure.hint,
            details=problems(failure.details),
            groups=problem_groups(failure.details),
            limits=[
                ExceededLimit(guard=one.guard, found=one.found, most=one.most, source=one.source)
                for one in failure.excesses
            ]
            or None,
        )
    )


def _message(error: PfaError) -> str:
    """Return the message, with the option at fault unless it is named."""
    message = with_options(error.message)
    option = option_of(error.parameter)
    named = not option or option in message or option in with_options(error.hint)
    return message if named else f"{message} ({option})"


def _is_usage_error(error: BaseException) -> bool:
    # Typer bundles its click as a private package and exports none of its base classes; every click
    # error has this documented method, and no other exception does.
    return callable(getattr(error, "format_message", None))


def _of_usage(error: Any) -> Failure:
    from pfa_cli.render.usage import hint, in_our_words

    message = error.format_message()
    return Failure(
        code=InvalidRequest.code,
        message=in_our_words(message),
        exit_code=InvalidRequest.exit_code,
        hint=hint(message, getattr(error, "ctx", None)),
    )


def _translate(error: OSError) -> PfaError:
    reason = error.strerror or type(error).__name__
    if not error.filename:
        return IoFailure(f"cannot read or write: {reason}")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{error.filename} is not there")
    return IoFailure(f"{error.filename}: {reason}")
