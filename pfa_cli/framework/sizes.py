"""Sizes on the command line: `64MiB`, `500M`, `1GiB`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from pfa_core.errors import InvalidRequest

DEFAULT = "64MiB"
_SIZE = re.compile(r"(\d{1,9})([KMG]?)(?:iB|B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

MaxSize = Annotated[
    str | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        help=f"Longest line or JSON document that is read, unpacked; {DEFAULT} by default.",
    ),
]


def parse_size(text: str | None) -> int:
    """Read a number of bytes such as `64MiB`; K, M and G are powers of 1,024.

    Raises:
        InvalidRequest: Another spelling, or 0.
    """
    match = _SIZE.fullmatch((DEFAULT if text is None else text).strip())
    if not match or not int(match[1]):
        raise InvalidRequest(f"invalid size {text!r}", hint="write it as 500K, 64MiB or 1GiB")
    return int(match[1]) * _UNITS[match[2].upper()]
