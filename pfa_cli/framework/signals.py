"""Ending a run in order: the first signal finishes what is in flight, the second one aborts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pfa_cli import exit_codes
from pfa_cli.render import failures
from pfa_cli.render.failures import Terminated


class Stop:
    """Whether the run was told to end, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0

    @property
    def exit_code(self) -> int:
        """What a run ends with that was told to: 0 while it was not."""
        codes = {signal.SIGINT: failures.INTERRUPTED, signal.SIGTERM: exit_codes.TERMINATED}
        return codes[signal.Signals(self.number)] if self.number else 0

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        if self.number:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        self.number = number
        self.event.set()
        again = "Ctrl-C again" if number == signal.SIGINT else "a second signal"
        # Not through sys.stderr, which this may be interrupting.
        os.write(2, f"ending: what is in flight is finished first; {again} aborts\n".encode())


@contextmanager
def in_order() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM end the block in order; outside the main thread nothing changes."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {
        number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
