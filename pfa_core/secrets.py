"""Secrets: a text that never shows itself, and the files that only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pfa_core.errors import ConfigInvalid, IoFailure, NotFound

# What the shell makes of <(command).
_OWN_PIPES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


class Secret:
    """A text that never shows itself: not in repr, not in str, not in a log."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"


def read_secret_file(path: Path) -> str:
    """The text of a file that only its owner can read.

    The mode is asked of the opened file itself, so that nobody can swap it in between.

    Raises:
        NotFound, IoFailure: It is not there, or cannot be read.
        ConfigInvalid: Group or others have access to it, or it is no text.
    """
    try:
        # A pipe that nobody writes to would keep us waiting for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISFIFO(mode) and str(path).startswith(_OWN_PIPES):
                os.set_blocking(descriptor, True)
            elif not stat.S_ISREG(mode):
                raise ConfigInvalid(f"{path} is no file that a secret could be in")
            if stat.S_IMODE(mode) & 0o077:
                raise ConfigInvalid(f"{path} can be read by others", hint=f"type: chmod 600 {path}")
            return file.read(1 << 20).decode().strip()
    except FileNotFoundError:
        raise NotFound(f"{path} is not there") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path} is no text") from None
    except OSError as error:
        raise IoFailure(f"{path} cannot be read: {error.strerror}") from error


def write_secret_file(path: Path, text: str) -> None:
    """Put a text into a file of mode 0600, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise IoFailure(f"{path} cannot be written: {error.strerror}") from error
