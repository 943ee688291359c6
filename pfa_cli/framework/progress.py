"""How far a long command is, on stderr."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar

from pfa_cli.framework.common import Common
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_core.model.humanize import count

if TYPE_CHECKING:
    from pfa_core.model.progress import Progress

T = TypeVar("T")
FIRST_SECONDS, NEXT_SECONDS = 0.4, 0.2  # a command that is done sooner shows no line
LINE_SECONDS = 30.0  # between two lines of a pipe
WORTH_SAYING = 1.0  # seconds, from which on the end says how long it took


class ProgressLine:
    """A line that overwrites itself on a terminal.

    With --verbose in a pipe it is a line every 30 seconds. A thread of its own writes it, so that it lives while
    the command waits for the server.
    """

    def __init__(
        self, common: Common, noun: str, doing: str, *, shown: bool = True, waits: bool = False
    ) -> None:
        """Begin.

        Args:
            noun: What is counted, in the singular: `change`.
            doing: What is shown until the operation reports its first phase.
            shown: False where the result is written to the same terminal meanwhile.
            waits: The waits of a run before a retry get a line each.
        """
        self._noun, self._doing = noun, doing
        shown = shown and not common.quiet
        self._terminal = shown and streams.is_terminal(sys.stderr)
        self._lines = shown and common.verbose and not self._terminal
        self._waits = waits
        self._began = self._phase_began = time.monotonic()
        self._latest: Progress | None = None
        self._visible = False
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._resources = ExitStack()

    def __enter__(self) -> ProgressLine:
        """Show the line from the first half second on."""
        if self._terminal or self._lines:
            thread = threading.Thread(target=self._draw_until_over, daemon=True)
            thread.start()
            self._resources.callback(thread.join)
            self._resources.callback(self._over.set)
            if self._waits:
                self._resources.enter_context(_waits_reported(self._report_wait))
        return self

    def __exit__(self, *_: object) -> None:
        """Erase the line."""
        self._resources.close()
        self._erase()

    @property
    def update(self) -> Callable[[Progress], None] | None:
        """The function to call with the progress; None where nothing is shown."""
        return self._update if self._terminal or self._lines else None

    def counted(self, rows: Iterable[T], total: int | None = None) -> Iterable[T]:
        """Return the rows, and show how many of them have been taken."""
        return self._counted(rows, total) if self.update else rows

    def _counted(self, rows: Iterable[T], total: int | None) -> Iterator[T]:
        from pfa_core.model.progress import Phase, Progress

        number = 0
        for number, row in enumerate(rows, 1):
            if number % 1000 == 0:
                self._update(Progress(phase=Phase.READING, done=number, total=total))
            yield row

    def say_rate(self, number: int) -> None:
        """Say how many there were in how much time, where it took a second or more."""
        seconds = time.monotonic() - self._began
        if number and seconds >= WORTH_SAYING and self.update:
            self._erase()
            streams.tell(f"{count(number, self._noun)} in {_rate(number, seconds)}")

    def _update(self, progress: Progress) -> None:
        if self._latest is None or self._latest.phase != progress.phase:
            self._phase_began = time.monotonic()
        self._latest = progress

    def _draw_until_over(self) -> None:
        pause = FIRST_SECONDS if self._terminal else LINE_SECONDS
        while not self._over.wait(pause):
            pause = NEXT_SECONDS if self._terminal else LINE_SECONDS
            now = time.monotonic()
            text = described(
                self._latest,
                self._noun,
                self._doing,
                elapsed=now - self._began,
                in_phase=now - self._phase_began,
            )
            with self._writing, suppress(OSError, ValueError):
                if self._terminal:
                    self._visible = True
                    width = shutil.get_terminal_size().columns
                    sys.stderr.write(f"\r{text[: width - 1]}\x1b[K")
                    sys.stderr.flush()
                else:
                    streams.tell(text)

    def _erase(self) -> None:
        with self._writing:
            if self._visible:
                self._visible = False
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def _report_wait(self, fields: Mapping[str, Any]) -> None:
        self._erase()
        reason = str(
            fields.get("reason") or "some changes were not taken by PEMS yet and wait for a retry"
        )
        streams.say(visible(f"{reason}; next attempt in {ceil(fields['seconds'])} s"))


def described(
    progress: Progress | None, noun: str, doing: str, *, elapsed: float, in_phase: float
) -> str:
    """Describe the progress in one line, the most important first.

    Args:
        doing: The phase while there is no progress.
        elapsed, in_phase: Seconds since the beginning, and since that of the phase.
    """
    if progress is None:
        return f"{doing}, {_seconds(elapsed)}"
    done, total = progress.done, progress.total
    numbers = f"{done:,} of {count(total, noun)}" if total else count(done, noun)
    parts = [f"{progress.phase} {numbers}"]
    counting = total is None or done < total
    if counting and in_phase >= 1 and done:
        parts.append(f"{done / in_phase:,.0f}/s")
        if total:
            parts.append(f"{_seconds((total - done) * in_phase / done)} left")
    else:
        parts.append(_seconds(elapsed))
    if progress.rejected:
        parts.append(f"{progress.rejected:,} rejected")
    return ", ".join(parts)


def _seconds(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s"


def _rate(number: int, seconds: float) -> str:
    return f"{_seconds(seconds)} ({number / seconds:,.0f}/s)"


@contextmanager
def _waits_reported(report: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Report each wait of a run before a retry, for the block."""
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
