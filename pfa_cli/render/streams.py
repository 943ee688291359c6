"""stdout, stderr and what they can take: terminals, colours, encodings."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from enum import StrEnum
from typing import TextIO

from pfa_core.errors import IoFailure
from pfa_core.model.secret import masked


class Color(StrEnum):
    """When to colour; colour never says anything that the text does not."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at the stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def colored(stream: TextIO | None, wish: Color) -> bool:
    """Whether to write ANSI colours to the stream."""
    if wish is not Color.AUTO:
        return wish is Color.ALWAYS
    return (
        is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def write(text: str) -> None:
    """Put data on stdout.

    Raises:
        IoFailure: stdout is closed.
    """
    if sys.stdout is None:
        raise IoFailure("stdout is closed")
    sys.stdout.write(text)


def tell(text: str) -> None:
    """Put a line of talk on stderr, behind the data written so far; never a token."""
    if sys.stderr is None:
        return
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):  # told when stdout itself is written next
            sys.stdout.flush()
    sys.stderr.write(masked(text) + "\n")
    sys.stderr.flush()


def flush() -> None:
    """Hand over what is buffered, so that a failure shows while it can still be reported."""
    if sys.stdout is not None:
        sys.stdout.flush()


def prepare() -> None:
    """Make pipes UTF-8 whatever the locale; a terminal keeps its own, with escapes for the rest."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if is_terminal(sys.stdout) or os.environ.get("PYTHONIOENCODING"):
            sys.stdout.reconfigure(errors="backslashreplace")
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")


def abandon() -> None:
    """Give up a stdout that takes nothing more; the interpreter would fail on it once again."""
    if sys.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
