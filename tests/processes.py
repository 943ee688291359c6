"""Processes that tests start: with the default signals, and ended when the test ends."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# What a shell without job control, `trap "" …` or nohup may have set to be ignored.
_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def inherit_no_ignored_signals() -> None:
    """Give the processes that this one starts the default signals, whatever it ignores itself.

    An ignored signal stays ignored across exec, a handled one is back to its default: what this process was
    started to ignore it handles instead, by doing nothing.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _do_nothing)


def _do_nothing(*_: object) -> None:
    pass


@contextmanager
def started(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process, killed where the block did not see its end; its pipes are closed."""
    with subprocess.Popen(argv, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
