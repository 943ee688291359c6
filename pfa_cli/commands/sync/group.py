"""The group `pfa sync` with its progress display."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer

from pfa_cli.framework.compose import group
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_cli.render.humanize import count
from pfa_core.model.run import IfLocked

app = typer.Typer(rich_markup_mode=None)
sync = group(app, "sync", "Exchange data with PEMS: pull records, push changes, list runs.")

Locked = Annotated[
    IfLocked,
    typer.Option(
        "--if-locked", metavar="fail|wait|skip", help="Behavior while another run is active."
    ),
]


class Progress:
    """A counter that overwrites itself; a line for each wait before a retry."""

    def __init__(self, talk: Talk, noun: str, done: str) -> None:
        """Begin.

        Args:
            noun: What is counted, in the singular: `change`.
            done: What happens to it: `processed`.
        """
        self._noun, self._done = noun, done
        self._shown = streams.is_terminal(sys.stderr) and not talk.quiet
        self._counter_visible = False
        self._listening = ExitStack()

    def __enter__(self) -> Progress:
        """Listen for waits."""
        if self._shown:
            self._listening.enter_context(_waits_reported(self._report_wait))
        return self

    def __exit__(self, *_: object) -> None:
        """Erase the counter."""
        self._listening.close()
        self._erase()

    @property
    def update(self) -> Callable[[int], None] | None:
        """The function to call with the number so far; None without a terminal."""
        return self._update if self._shown else None

    def _erase(self) -> None:
        if self._counter_visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _report_wait(self, fields: Mapping[str, Any]) -> None:
        self._erase()
        reason = str(
            fields.get("reason") or "some changes were not taken by PEMS yet and wait for a retry"
        )
        streams.tell(visible(f"{reason}; next attempt in {fields['seconds']:.0f} s"))

    def _update(self, number: int) -> None:
        self._counter_visible = True
        sys.stderr.write(f"\r{count(number, self._noun)} {self._done}\x1b[K")
        sys.stderr.flush()


@contextmanager
def _waits_reported(report: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Report each wait of the run before a retry, for the block."""
    import logging

    from pfa_core.sync.run_log import LOGGER

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "event", "") == "waiting":
                report(getattr(record, "fields", {}))

    handler = Waits(logging.WARNING)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
