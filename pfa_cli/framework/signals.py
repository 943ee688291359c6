"""Signals that end a command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pfa_cli import exit_codes

GRACE_SECONDS = 10
ABORT_SECONDS = 2  # for rolling back and releasing a lease, over a connection that may be silent


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived.

    A kind of interrupt: psycopg ends the statement that the server is at work on for those alone.
    """


class Stop:
    """A request to end the run, and the signal that made it."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0

    @property
    def exit_code(self) -> int:
        """The exit code of a run that a signal ended; 0 without one."""
        codes = {signal.SIGINT: exit_codes.INTERRUPTED, signal.SIGTERM: exit_codes.TERMINATED}
        return codes[signal.Signals(self.number)] if self.number else 0

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Ask the run to end; at the second signal abort it, at the third the process."""
        if self.number:
            _end_soon(number)
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        self.number = number
        self.event.set()
        again = "Ctrl-C again" if number == signal.SIGINT else "a second signal"
        # Written to the descriptor: the signal may have arrived within a write to sys.stderr.
        # A line of progress may be there.
        clear = "\r\x1b[K" if os.isatty(2) else ""
        os.write(2, f"{clear}ending after the work in progress; {again} aborts\n".encode())


@contextmanager
def in_order() -> Iterator[Stop]:
    """Let the first SIGINT or SIGTERM end the block in order, in the main thread."""
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


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as an exception does, so that transactions roll back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        # If the clean-up blocks, a second signal or ten seconds end the process: the server rolls back.
        signal.signal(signal.SIGTERM, _give_up)
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(GRACE_SECONDS)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGTERM, before)


def _end_soon(number: int) -> None:
    """End the process at the next signal, or where the clean-up takes too long."""
    code = exit_codes.INTERRUPTED if number == signal.SIGINT else exit_codes.TERMINATED

    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(code)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(each, end)
    signal.alarm(ABORT_SECONDS)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    os._exit(exit_codes.TERMINATED)
