"""Progress of a long operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a long operation is doing."""

    READING = "reading"
    STORING = "storing"
    SENDING = "sending"
    SAVING = "saving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an operation is.

    Args:
        done: Records or changes of this phase so far, refused ones included.
        total: How many there will be; None: unknown.
        rejected: How many of them were refused.
    """

    phase: Phase
    done: int = 0
    total: int | None = None
    rejected: int = 0


Report = Callable[[Progress], None]
