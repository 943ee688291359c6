"""Ids: UUID version 7 (RFC 9562), made by the client, ascending with time."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import NewType
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Ids of different things, which a type checker keeps apart; each is a str where it is shown or stored.
OrganizationId = NewType("OrganizationId", str)
UserId = NewType("UserId", str)
PfaId = NewType("PfaId", str)
ModificationId = NewType("ModificationId", str)
SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
ConflictId = NewType("ConflictId", str)
EntryId = NewType("EntryId", str)
TokenId = NewType("TokenId", str)

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


def utc_now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)


def uuid7(at: datetime, randomness: int) -> UUID:
    """Make the id of an instant.

    48 bits of milliseconds, 12 bits of their fraction (RFC 9562, method 3), so that ids ascend with the
    microsecond, then 62 random bits taken from `randomness`.
    """
    return _of_instant((at - _EPOCH) // timedelta(microseconds=1), randomness)


def new_id() -> UUID:
    """Make a fresh id for now."""
    # From the clock's integer: by a `datetime` an id takes twice as long.
    return _of_instant(time_ns() // 1000, int.from_bytes(os.urandom(8)) >> 2)


def _of_instant(microseconds: int, randomness: int) -> UUID:
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    return UUID(
        int=(milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | fraction << 64
        | 0b10 << 62
        | randomness & (1 << 62) - 1
    )


def counting_from(first: UUID) -> str:
    """Return the 24 digits that begin a series of ids whose last eight digits count.

    The time of `first`, then 42 bits of a hash of it, so that different first ids begin different series.
    """
    from hashlib import sha256  # the types of ids are needed at every start, this is not

    hashed = int.from_bytes(sha256(first.bytes).digest()[:6])
    made = (
        (first.int >> 80) << 48
        | 0x7 << 44
        | (hashed >> 30 & 0xFFF) << 32
        | 0b10 << 30
        | hashed & 0x3FFFFFFF
    )
    digits = f"{made:024x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
