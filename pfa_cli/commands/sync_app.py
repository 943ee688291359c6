"""The group `pfa sync`, and what its commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pfa_cli import streams
from pfa_cli.compose import group
from pfa_cli.session import Call
from pfa_core.model.locking import IfLocked

app = typer.Typer(rich_markup_mode=None)
sync = group(
    app, "sync", "Exchange with PEMS: pull its records, push commitments, look at past runs."
)

Locked = Annotated[
    IfLocked,
    typer.Option("--if-locked", metavar="fail|wait|skip", help="While another run is at work."),
]


class Progress:
    """A counter on the terminal that overwrites itself."""

    def __init__(self, call: Call, text: str) -> None:
        """Show `{number} {text}`."""
        self._text = text
        self._shown = streams.is_terminal(sys.stderr) and not call.common.quiet
        self._told = False

    @property
    def tell(self) -> Callable[[int], None] | None:
        """What to call with the number; None where nobody looks."""
        return self._tell if self._shown else None

    def end(self) -> None:
        """Wipe the counter."""
        if self._told:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _tell(self, number: int) -> None:
        self._told = True
        sys.stderr.write(f"\r{number:,} {self._text}")
        sys.stderr.flush()
