"""Options of the log of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pfa_cli.framework.options import OptionGroup
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_core.errors import ConfigInvalid

INFO = 20  # as in `logging`, which only a command that logs imports


class LogFormat(StrEnum):
    """Format of a line of the log."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs(OptionGroup):
    """Destination of the log of a run: a file, else stderr; without either, none."""

    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            "--log-format",
            metavar="text|json",
            help="Log the run, to stderr without --log-file [PFA_LOG_FORMAT].",
        ),
    ] = None
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file",
            metavar="FILE",
            help="Append the log to this file, as JSON by default [PFA_LOG_FILE].",
        ),
    ] = None

    def taken(self) -> Logs:
        """Return format and file: the option, else the environment."""
        return Logs(
            log_format=self.log_format or _format_of_environment(),
            log_file=self.log_file or _file_of_environment(),
        )

    @contextmanager
    def attached(self, run_level: int = INFO) -> Iterator[None]:
        """Write what is logged from this level on, for the block.

        Raises:
            IoFailure: The file cannot be opened; the block does not begin.
        """
        if self.log_format is None and self.log_file is None:
            yield
            return
        from pfa_core.sync import run_log

        styles = {LogFormat.TEXT: run_log.TextFormatter, LogFormat.JSON: run_log.JsonFormatter}
        formatter = styles[self.log_format or LogFormat.JSON]()
        file = run_log.LogFile(self.log_file) if self.log_file else None
        write = file.write if file else streams.tell
        try:
            with run_log.attached(run_log.LineHandler(write, formatter, _complain), run_level):
                yield
        finally:
            if file:
                file.close()


def _format_of_environment() -> LogFormat | None:
    named = os.environ.get("PFA_LOG_FORMAT")
    if not named:
        return None
    try:
        return LogFormat(named)
    except ValueError:
        raise ConfigInvalid(f"PFA_LOG_FORMAT must be text or json, not {named!r}") from None


def _file_of_environment() -> Path | None:
    named = os.environ.get("PFA_LOG_FILE")
    if not named:
        return None
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise ConfigInvalid(f"PFA_LOG_FILE {named!r}: unknown home directory") from None


def _complain(text: str) -> None:
    streams.tell(visible(text))
