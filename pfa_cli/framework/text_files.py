"""Files that are named on the command line."""

from __future__ import annotations

from pathlib import Path

from pfa_core.errors import InvalidRequest
from pfa_core.files.descriptors import STDOUT, descriptor_of
from pfa_core.files.reading import decode, open_input, read_whole


def read_text(path: Path, what: str, most: int) -> str:
    """Read a file of UTF-8 text, without its byte order mark.

    Args:
        what: What it is, as in "a view of pfa".
        most: Bytes that such a file has at most.

    Raises:
        InvalidRequest: It is -.
        NotFound: There is no such file.
        InvalidData: It is not UTF-8 text, or larger.
        IoFailure: It cannot be read.
    """
    if str(path) == "-":
        raise InvalidRequest(f"{what} is read from a file, not from a pipe")
    with open_input(str(path)) as file:
        return decode(read_whole(file, str(path), most, kept="nothing was stored"), str(path))


def require_file(to: str | Path, hint: str, *, secret: bool = False) -> None:
    """Refuse - for a file that is written: it would be one of this name.

    Args:
        secret: It is for its owner alone: a pipe that is open already may have other readers.

    Raises:
        InvalidRequest: It is -, or with `secret` such as /dev/stdout.
    """
    if str(to) == "-" or (secret and descriptor_of(to) is not None):
        raise InvalidRequest("--to names a file", hint=hint)


def require_apart(file: str, command: str) -> None:
    """Refuse stdout for a file that is written, where the command's result goes there.

    Args:
        command: The command up to the file, as it is typed.

    Raises:
        InvalidRequest: It is stdout.
    """
    if file == "-" or descriptor_of(file) == STDOUT:
        raise InvalidRequest(
            f"{file}: the result of the command goes to stdout, its file elsewhere",
            hint=f"name a file; for a pipe type in bash: {command} >(COMMAND)",
        )
