"""Files that are named on the command line."""

from __future__ import annotations

from pathlib import Path

from pfa_core.errors import InvalidRequest
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


def require_file(to: str | Path, hint: str) -> None:
    """Refuse - for a file that is written: it would be one of this name.

    Raises:
        InvalidRequest: It is -.
    """
    if str(to) == "-":
        raise InvalidRequest("--to names a file", hint=hint)
