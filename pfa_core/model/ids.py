"""UUID version 7 (RFC 9562): made by the client, ascending with time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


def utc_now() -> datetime:
    """The present instant, with its zone."""
    return datetime.now(UTC)


def uuid7(at: datetime, randomness: int) -> UUID:
    """The id of an instant: 48 bits of milliseconds, then 74 random bits taken from `randomness`."""
    milliseconds = int(at.timestamp() * 1000) & (1 << 48) - 1
    high = randomness >> 62 & 0xFFF
    low = randomness & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def new_id() -> UUID:
    """A fresh id for now."""
    return uuid7(utc_now(), secrets.randbits(74))
