"""Writing to stdout and stderr: terminals, colours, encodings."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from enum import StrEnum
from typing import TextIO

from pfa_core.errors import IoFailure, PfaError
from pfa_core.model.secret import masked

_FORCED = ("FORCE_COLOR", "CLICOLOR_FORCE")
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_HANGING = 2
CONTROLLING = "/dev/tty"  # the terminal that a process was started from, whatever its streams are
ESCAPED = "pfa_escaped"  # the name of the handler of encoding errors


class StdoutFailure(IoFailure):
    """A result could not be written to stdout."""


class Color(StrEnum):
    """When to use colour, which never carries information of its own."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether the stream is a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def is_attended() -> bool:
    """Tell whether the process has a terminal, whatever its streams are.

    That is one of its streams, or the one it was started from: `pfa commit 2>&1 | tail` is typed by a
    person. Jobs of cron or systemd have none.
    """
    if any(map(is_terminal, (sys.stdin, sys.stdout, sys.stderr))):
        return True
    try:
        os.close(os.open(CONTROLLING, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def colored(stream: TextIO | None, wish: Color) -> bool:
    """Decide whether ANSI colours go to the stream."""
    if wish is not Color.AUTO:
        return wish is Color.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in _FORCED):
        return True
    return is_terminal(stream) and not is_dumb()


def is_dumb() -> bool:
    """Tell whether the terminal knows neither colours nor line-drawing."""
    return os.environ.get("TERM") == "dumb"


def width() -> int:
    """Return the number of cells in a line of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def has_line_drawing(stream: TextIO | None) -> bool:
    """Tell whether characters that draw lines and bars may go to the stream."""
    return _is_utf8(stream) and not (is_terminal(stream) and is_dumb())


def encoding() -> str:
    """Return the encoding of stdout."""
    return getattr(sys.stdout, "encoding", None) or "utf-8"


def write(text: str) -> None:
    """Write data to stdout.

    Raises:
        StdoutFailure: stdout is closed, or its encoding lacks a character of lines that must be exact.
    """
    if sys.stdout is None:
        raise StdoutFailure("stdout is closed")
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError as error:
        lacking = error.object[error.start]
        raise StdoutFailure(
            f"the encoding of stdout, {sys.stdout.encoding}, has no {lacking!r};"
            " the output ends before it",
            hint="unset PYTHONIOENCODING: a pipe is UTF-8 then",
        ) from None


def write_json(text: str) -> None:
    """Write JSON to stdout, valid in any encoding: what that lacks is escaped."""
    write(text if text.isascii() else safe_json(text, sys.stdout))


def safe_json(text: str, stream: TextIO | None) -> str:
    r"""Escape as \uXXXX what would make JSON invalid in the encoding of a stream.

    In any but UTF-8 that is all that is not ASCII, in UTF-8 half a surrogate pair.
    """
    if not _is_utf8(stream):
        return text.encode("ascii", ESCAPED).decode()
    return text.encode("utf-8", ESCAPED).decode()


def be_exact() -> None:
    """Refuse from now on what the encoding of stdout lacks.

    Lines that a program reads are exact or are not written.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and not _is_utf8(sys.stdout):
        sys.stdout.reconfigure(errors="strict")


def _is_utf8(stream: TextIO | None) -> bool:
    name = getattr(stream, "encoding", None) or "utf-8"
    return name.lower().replace("_", "-") in ("utf-8", "utf8")


def tell(text: str) -> None:
    """Write a line to stderr, after the data written so far, with its tokens masked."""
    if sys.stderr is None:
        return
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):  # the next write to stdout reports it
            sys.stdout.flush()
    sys.stderr.write(masked(text) + "\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """Write a message to stderr; on a terminal lines that fit, broken at blanks."""
    if is_terminal(sys.stderr):
        cells = _stderr_width()
        text = "\n".join(_fitted(line, cells) for line in text.split("\n"))
    tell(text)


def _stderr_width() -> int:
    """Return the cells of a line of the terminal of stderr, maybe not of stdout."""
    if not os.environ.get("COLUMNS"):
        with contextlib.suppress(OSError, ValueError):
            cells = os.get_terminal_size(sys.stderr.fileno()).columns
            return cells or width()
    return width()


def _fitted(line: str, cells: int) -> str:
    """Fold a line; what follows stands below it, a little to the right."""
    from pfa_cli.render.cells import width as measured
    from pfa_cli.render.folding import fold

    def measure(text: str) -> int:
        return measured(_STYLES.sub("", text))

    text = line.lstrip(" ")
    indent = len(line) - len(text)
    room = cells - indent - _HANGING
    if measure(line) <= cells or room < _HANGING:
        return line
    return " " * indent + ("\n" + " " * (indent + _HANGING)).join(fold(text, room, measure))


def ask(question: str) -> None:
    """Write a question to stderr, without a line end: the answer follows."""
    if sys.stderr is not None:
        sys.stderr.write(masked(question))
        sys.stderr.flush()


def is_of_stdout(error: BaseException) -> bool:
    """Tell whether an error is of writing to stdout: that of a file names it."""
    if isinstance(error, StdoutFailure):
        return True
    named = getattr(error, "filename", None)
    return isinstance(error, OSError) and not isinstance(error, PfaError) and not named


def flush() -> None:
    """Flush stdout, so that a failure of it can still be reported."""
    if sys.stdout is not None:
        sys.stdout.flush()


def prepare() -> None:
    """Make pipes UTF-8; let terminals escape what their encoding lacks; buffer stdout."""
    codecs.register_error(ESCAPED, _escape)
    _buffer()
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=ESCAPED)
    if isinstance(sys.stdout, io.TextIOWrapper):
        if is_terminal(sys.stdout) or os.environ.get("PYTHONIOENCODING"):
            sys.stdout.reconfigure(errors=ESCAPED)
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write what cannot be encoded as JSON escapes it.

    A character beyond 16 bits is a surrogate pair.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def _buffer() -> None:
    """Put a buffer before an unbuffered stdout (PYTHONUNBUFFERED, python -u).

    Without one, Python drops what a write leaves over: where a disk is full in the middle of it, or a
    reader goes away, the output would be cut off with exit code 0.
    """
    stdout = sys.stdout
    raw = getattr(stdout, "buffer", None)
    if stdout is not sys.__stdout__:
        return  # another program's, which holds on to it
    if isinstance(stdout, io.TextIOWrapper) and isinstance(raw, io.RawIOBase):
        encoding, errors, lines = stdout.encoding, stdout.errors, is_terminal(stdout)
        stdout.detach()
        buffered = io.BufferedWriter(raw)
        replaced = io.TextIOWrapper(buffered, encoding, errors, line_buffering=lines)
        if sys.__stdout__ is stdout:
            sys.__stdout__ = replaced  # shutil asks this one for the terminal's width
        sys.stdout = replaced


def abandon() -> None:
    """Point a broken stdout at /dev/null; the interpreter flushes it again on exit."""
    if sys.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
