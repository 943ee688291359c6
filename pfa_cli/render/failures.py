"""Every way to fail, as lines on stderr and a number for the shell."""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer

from pfa_cli import exit_codes
from pfa_cli.render import streams
from pfa_cli.render.escape import visible, visible_json
from pfa_cli.render.streams import Color
from pfa_core.errors import Fault, Internal, InvalidRequest, IoFailure, NotFound, PfaError

MOST_PROBLEMS = 100  # lines; nobody reads more, and each may say the same
INTERRUPTED = exit_codes.INTERRUPTED

# Typer ≥ 0.26 carries its own click; its public BadParameter leads to the root of either.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]


class ErrorFormat(StrEnum):
    """How errors are written."""

    TEXT = "text"
    JSON = "json"


class Terminated(BaseException):
    """SIGTERM arrived."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, ready to be told."""

    code: str
    message: str
    exit_code: int
    retryable: bool = False
    hint: str = ""
    details: Sequence[Fault] = ()


def of_exception(error: BaseException) -> Failure:
    """What an exception means outside. Foreign ones say nothing of their inside."""
    if isinstance(error, UsageError):
        return _of_usage(error)
    if isinstance(error, OSError) and not isinstance(error, PfaError):
        error = _translate(error)
    if not isinstance(error, PfaError):
        name = type(error).__name__
        error = Internal(f"unexpected {name}", hint="the same command with --debug shows where")
    return Failure(
        error.code, error.message, error.exit_code, error.retryable, error.hint, error.details
    )


def report(failure: Failure, style: ErrorFormat, color: Color = Color.AUTO) -> None:
    """Write the failure to stderr: a line of JSON, or problems, hint and error, in this order."""
    if style is ErrorFormat.JSON:
        text = json.dumps(_document(failure), ensure_ascii=False, separators=(",", ":"))
        streams.tell(visible_json(text))
        return
    for fault in failure.details[:MOST_PROBLEMS]:
        streams.tell(problem_line(fault))
    rest = Counter(fault.code for fault in failure.details[MOST_PROBLEMS:])
    if rest:
        each = ", ".join(f"{number:,} {code}" for code, number in rest.most_common())
        streams.tell(f"  and {rest.total():,} more ({each}); all of them: --error-format json")
    if failure.hint:
        first, *more = map(visible, failure.hint.splitlines())
        streams.tell("\n  ".join([f"hint: {first}", *more]))
    label = "error:"
    if streams.colored(sys.stderr, color):
        label = typer.style(label, fg="red", bold=True)
    streams.tell(f"{label} {visible(failure.message)} [{failure.code}]")


def report_trace(error: BaseException) -> None:
    """Write where the exception came from, for --debug."""
    text = "".join(traceback.format_exception(error)).rstrip()
    streams.tell("\n".join(map(visible, text.split("\n"))))


def problem_line(fault: Fault) -> str:
    """One problem of the input: record and field, what is wrong, where it stands, its code."""
    where = " ".join(part for part in (fault.pfa_id or fault.position, fault.field) if part)
    position = f" ({fault.position})" if fault.pfa_id and fault.position else ""
    return f"  {visible(where)}: {visible(fault.message)}{visible(position)} [{fault.code}]"


def fault_document(fault: Fault) -> dict[str, Any]:
    """A problem as JSON; `position` only where there is one."""
    document = {
        "pfaId": fault.pfa_id,
        "field": fault.field,
        "code": fault.code,
        "message": fault.message,
    }
    return document | ({"position": fault.position} if fault.position else {})


def _document(failure: Failure) -> dict[str, Any]:
    return {
        "error": {
            "code": failure.code,
            "message": failure.message,
            "exitCode": failure.exit_code,
            "retryable": failure.retryable,
            "hint": failure.hint,
            "details": [fault_document(fault) for fault in failure.details],
        }
    }


def _of_usage(error: Any) -> Failure:
    context = getattr(error, "ctx", None)
    hint = f"type: {context.command_path} --help" if context else ""
    message = error.format_message().rstrip(".")
    return Failure(
        InvalidRequest.code, message[:1].lower() + message[1:], InvalidRequest.exit_code, hint=hint
    )


def _translate(error: OSError) -> PfaError:
    reason = error.strerror or type(error).__name__
    if not error.filename:
        return IoFailure(f"cannot read or write: {reason}")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{error.filename} is not there")
    return IoFailure(f"{error.filename}: {reason}")
