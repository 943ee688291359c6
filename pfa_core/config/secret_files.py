"""Secrets: a text that never shows itself, and the files that only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from pfa_core.errors import ConfigInvalid, InvalidRequest, IoFailure, NotFound
from pfa_core.model.secret import looks_like_token

# What the shell makes of <(command).
_OWN_PIPES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
OTHERS = 0o077
# systemd lets the unit's user read a credential by an access list, which shows as the group's bit.
OTHERS_OF_A_CREDENTIAL = 0o037


def open_judged(path: Path, *, beyond: int) -> BinaryIO:
    """Open a file that decides what we do, if nobody else could have decided it.

    Links are followed, as those of mounted secrets and of dotfile managers; what counts is the file
    that was opened. Its mode and owner are asked of itself, so that nobody can swap it in between.

    Args:
        beyond: The bits of the mode that may not be set.

    Raises:
        FileNotFoundError, OSError: It is not there, or cannot be read.
        ConfigInvalid: It has one of the bits, belongs to somebody else, or is no file.
    """
    # A pipe that nobody writes to would keep us waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    file = os.fdopen(descriptor, "rb")
    try:
        status = os.fstat(descriptor)
        if stat.S_ISFIFO(status.st_mode) and str(path).startswith(_OWN_PIPES):
            os.set_blocking(descriptor, True)
        elif not stat.S_ISREG(status.st_mode):
            raise ConfigInvalid(f"{path} is no file to read settings or secrets from")
        if stat.S_IMODE(status.st_mode) & beyond:
            verb = "read" if beyond & 0o044 else "written"
            raise ConfigInvalid(f"{path} can be {verb} by others", hint=f"type: chmod 600 {path}")
        # Root may read for anybody; whoever else owns a file of ours could write another into it.
        if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
            raise ConfigInvalid(f"{path} belongs to another user")
    except BaseException:
        file.close()
        raise
    return file


def read_secret_file(path: Path, *, beyond: int = OTHERS) -> str:
    """The text of a file that only its owner can read.

    Args:
        beyond: The bits of its mode that may not be set.

    Raises:
        NotFound, IoFailure: It is not there, or cannot be read.
        ConfigInvalid: Group or others have access to it, or it is no text.
    """
    if looks_like_token(str(path)):
        raise InvalidRequest(
            "that is a token, not the name of its file; whoever saw the command line knows it now",
            hint="revoke it; a token is taken from a file, a pipe or PFA_TOKEN",
        )
    try:
        with open_judged(path, beyond=beyond) as file:
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
