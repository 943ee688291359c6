"""UUID version 7 (RFC 9562): made by the client, ascending with time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


def utc_now() -> datetime:
    """The present instant, with its zone."""
    return datetime.now(UTC)


def uuid7(at: datetime, randomness: int) -> UUID:
    """The id of an instant: 48 bits of milliseconds, 12 bits of their fraction (RFC 9562, method 3),
    so that ids ascend with the microsecond, then 62 random bits taken from `randomness`."""
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    return UUID(
        int=(milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | fraction << 64
        | 0b10 << 62
        | randomness & (1 << 62) - 1
    )


def new_id() -> UUID:
    """A fresh id for now."""
    return uuid7(utc_now(), secrets.randbits(62))
