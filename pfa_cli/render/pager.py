"""The pager that shows what is longer than the terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

from pfa_cli.render import streams

USUAL = "less"
# Quit where it fits on one screen, pass colours, leave the screen as it is at the end.
_LESS = "FRX"


class PagerClosed(Exception):
    """The reader has quit the pager; what follows is not wanted."""


def command(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Read the pager from PFA_PAGER, else PAGER, else `less`.

    It is empty where they say `cat` or nothing, or the terminal is dumb."""
    import shlex

    named = environ.get("PFA_PAGER", environ.get("PAGER", USUAL))
    try:
        words = tuple(shlex.split(named))
    except ValueError:
        return ()
    return () if words == ("cat",) or environ.get("TERM") == "dumb" else words


class Paging:
    """Writes to stdout, through a pager once the terminal is full.

    A pager that is quit ends the block without an error, one that cannot be started is left out.
    """

    def __init__(self, pager: Sequence[str]) -> None:
        """Begin; without a pager everything is written at once."""
        self._pager = pager
        self._held: list[str] = []
        self._room = shutil.get_terminal_size().lines - 1 if pager else 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Paging:
        """Begin."""
        return self

    def write(self, text: str) -> None:
        """Write a text.

        Raises:
            PagerClosed: The pager has ended.
        """
        if self._process:
            self._send(text)
        elif not self._pager:
            streams.write(text)
        else:
            self._held.append(text)
            self._room -= text.count("\n")
            if self._room < 0:
                self._start()

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> bool:
        """Write what is held, or wait until the pager is quit.

        Until then Ctrl-C is the pager's."""
        if self._process:
            self._wait(self._process)
        elif kind is None:
            self._release()
        return kind is PagerClosed

    def _start(self) -> None:
        streams.flush()
        environ = {"LESS": _LESS, "LV": "-c", **os.environ}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own choice of a program
                self._pager,
                stdin=subprocess.PIPE,
                env=environ,
                encoding=streams.encoding(),
                errors=streams.ESCAPED,
            )
        except OSError as error:
            name = next(iter(self._pager))
            streams.tell(f"note: the pager {name!r} does not start: {error.strerror}")
            self._pager = ()
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for text in held:
            self._send(text) if self._process else streams.write(text)

    def _send(self, text: str) -> None:
        pipe = self._process.stdin if self._process else None
        if pipe is None:
            raise PagerClosed
        try:
            pipe.write(text)
        except BrokenPipeError:
            raise PagerClosed from None

    def _wait(self, process: subprocess.Popen[str]) -> None:
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        try:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            process.wait()
        finally:
            if main:
                signal.signal(signal.SIGINT, before)
