"""What to do while another run of the same direction is at work."""

from __future__ import annotations

from enum import StrEnum


class IfLocked(StrEnum):
    """What to do while another run holds the lease."""

    FAIL = "fail"
    WAIT = "wait"
    SKIP = "skip"
