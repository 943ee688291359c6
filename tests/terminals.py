"""A pseudo-terminal that the program runs in."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import Any

from tests.processes import started

_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_NEUTRAL = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "PAGER", "LESS")


@dataclass(frozen=True)
class Screen:
    """What a command wrote to the terminal, and its exit code."""

    code: int
    raw: str

    @property
    def text(self) -> str:
        return _STYLES.sub("", self.raw)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def on_terminal(*words: str, cells: int = 80, lines: int = 60, **environ: str) -> Screen:
    """Run `pfa` with a terminal for its three streams."""
    with (
        terminal(cells, lines) as (leader, follower),
        begun(words, follower, environ, stdin=follower, stderr=follower) as process,
    ):
        os.close(follower)
        raw = _read(leader)
        return Screen(process.wait(), raw.replace("\r\n", "\n"))


@contextmanager
def begun(
    words: tuple[str, ...], stdout: int, environ: dict[str, str], **streams: Any
) -> Iterator[Popen[Any]]:
    """Start `pfa` in a session of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in _NEUTRAL}
    variables = {**kept, "TERM": "xterm-256color", "PFA_PAGER": "cat", **environ}
    argv = [sys.executable, "-m", "pfa_cli", *words]
    with started(
        argv, stdout=stdout, env=variables, start_new_session=True, **({"stderr": PIPE} | streams)
    ) as process:
        yield process


@contextmanager
def terminal(cells: int, lines: int) -> Iterator[tuple[int, int]]:
    """Open a pseudo-terminal of a size: the tests' end, and the program's, which the block closes."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, cells, 0, 0))
    try:
        yield leader, follower
    finally:
        os.close(leader)


def _read(leader: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(leader, 65_536)
        except OSError:  # Linux: the last process has closed its end
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)
