"""Durations on the command line: `90s`, `30m`, `8h`, `90d`."""

from __future__ import annotations

import re
from datetime import timedelta

from pfa_core.errors import InvalidRequest

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `30m`, `8h` or `90d`.

    Raises:
        InvalidRequest: Another spelling.
    """
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise InvalidRequest(f"invalid duration {text!r}", hint="write it as 90s, 30m, 8h or 90d")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise InvalidRequest(f"duration {text!r} is too long") from None
