"""Messages of a command on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pfa_cli import exit_codes
from pfa_cli.framework.common import Common
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_cli.render.streams import Color
from pfa_core.errors import Fault

DRY_RUN = "dry run, rolled back"


class Talk:
    """Messages, hints and partial outcomes; --quiet leaves only the last."""

    def __init__(self, common: Common) -> None:
        """Begin; nothing is masked yet."""
        self.masked = False
        self._common = common
        self._masking_noted = False

    @property
    def quiet(self) -> bool:
        """Whether only results and errors are wanted."""
        return self._common.quiet

    def say(self, text: str) -> None:
        """Write a message, unless --quiet."""
        if not self.quiet:
            streams.say(visible(text))

    def hint(self, text: str) -> None:
        """Write a hint, unless --quiet or empty."""
        if text:
            self.say(f"hint: {text}")

    def done(self, text: str) -> None:
        """Write what was done, or what a dry run would have done."""
        self.say(f"{DRY_RUN}: {text}" if self._common.dry_run else text)

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is stored."""
        return self._common.dry_run

    def note_dry_run(self) -> None:
        """Write that nothing was saved, in a dry run."""
        if self._common.dry_run:
            self.say(DRY_RUN)

    def note_typing(self, files: Sequence[str]) -> None:
        """Write that input is awaited, where a file is standard input, a terminal."""
        if "-" in files and streams.is_terminal(sys.stdin):
            self.say("reading from the terminal; Ctrl-D ends the input")

    def mask(self, *results: Any) -> None:
        """Remember whether money is masked in results that are about to be shown."""
        self.masked = self.masked or any(result.masked for result in results)

    def note_masking(self) -> None:
        """Write once that money was masked."""
        if self.masked and not self._masking_noted:
            self._masking_noted = True
            self.say("note: money is masked; it requires the right view_financials")

    def partly_done(
        self,
        message: str,
        code: str,
        faults: Sequence[Fault],
        hint: str = "",
        *,
        retryable: bool = False,
    ) -> int:
        """Report what was not done although the rest was, and return the exit code."""
        from pfa_cli.render import failures  # most commands do all of it

        self.note_masking()  # the error is the last line
        failure = failures.Failure(
            code=code,
            message=message,
            exit_code=exit_codes.PARTLY_DONE,
            retryable=retryable,
            hint=hint,
            details=faults,
        )
        common = self._common
        failures.report(failure, common.error_style, common.color or Color.AUTO)
        return exit_codes.PARTLY_DONE
