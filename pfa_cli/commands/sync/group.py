"""The group `pfa sync`, and what its commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer

from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import group
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_cli.render.humanize import count
from pfa_core.model.run import IfLocked

app = typer.Typer(rich_markup_mode=None)
sync = group(
    app, "sync", "Exchange with PEMS: pull its records, push commitments, look at past runs."
)

Locked = Annotated[
    IfLocked,
    typer.Option("--if-locked", metavar="fail|wait|skip", help="While another run is at work."),
]


class Progress:
    """A counter on the terminal that overwrites itself, and a line for each time that PEMS lets us wait."""

    def __init__(self, call: Call, noun: str, done: str) -> None:
        """Show `3 commitments settled` of the noun `commitment` and what is done with them."""
        self._noun, self._done = noun, done
        self._shown = streams.is_terminal(sys.stderr) and not call.common.quiet
        self._told = False
        self._listening = ExitStack()
        if self._shown:
            self._listening.enter_context(_told_of_waiting(self._wait))

    @property
    def tell(self) -> Callable[[int], None] | None:
        """What to call with the number; None where nobody looks."""
        return self._tell if self._shown else None

    def end(self) -> None:
        """Wipe the counter."""
        self._listening.close()
        self._wipe()

    def _wipe(self) -> None:
        if self._told:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _wait(self, fields: Mapping[str, Any]) -> None:
        self._wipe()
        reason = str(fields.get("reason") or "some wait for their next try")
        streams.tell(visible(f"{reason}; again in {fields['seconds']:.0f} s"))

    def _tell(self, number: int) -> None:
        self._told = True
        sys.stderr.write(f"\r{count(number, self._noun)} {self._done}\x1b[K")
        sys.stderr.flush()


@contextmanager
def _told_of_waiting(tell: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Hear of it, in the block, when a run waits before it asks PEMS again."""
    import logging

    from pfa_core.sync.run_log import LOGGER

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "event", "") == "waiting":
                tell(getattr(record, "fields", {}))

    handler = Waiting(logging.WARNING)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
