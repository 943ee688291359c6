"""Inputs that are made of others by random changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MOST_BYTES = 20_000
# What readers of numbers, dates, JSON, tables and texts treat apart.
WORDS = (
    b"null", b"true", b"-0", b"1e400", b"1E-7", b"99999999999999999999", b"NaN", b"0x1", b"2026-02-30",
    b"0000-00-00", b"2024-01-01T00:00:00Z", b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"{", b"}", b"[", b"]", b",",
    b";", b"\t", b"\n", b"\r\n", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", "\u2028".encode(), "\u00a0".encode(),
    "\u0301".encode(), "\u0660".encode(), "\U0001f4a9".encode(), b"\xed\xa0\x80", b"=1+1", b"#", b"..", b"%",
    b"&a;", b"pfaId", b"P-1", b"monthlyRate", b"forecastStart", b"source", b"Rental", b"organization", b" and ",
    b" or ", b"not ", b"(", b")",
)  # fmt: skip


def mutated(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    """Change one of the inputs a few times."""
    found = bytearray(chance.choice(pool))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 8))):
        chance.choice(_CHANGES)(chance, found, pool)
    return bytes(found[:MOST_BYTES])


def _place(chance: random.Random, found: bytearray) -> int:
    return chance.randint(0, len(found))


def _flip(chance: random.Random, found: bytearray, _: Sequence[bytes]) -> None:
    if found:
        found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)


def _write(chance: random.Random, found: bytearray, _: Sequence[bytes]) -> None:
    at = _place(chance, found)
    found[at : at + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 3))


def _word(chance: random.Random, found: bytearray, _: Sequence[bytes]) -> None:
    at = _place(chance, found)
    found[at : at + chance.choice((0, 0, 1, 5))] = chance.choice(WORDS)


def _cut(chance: random.Random, found: bytearray, _: Sequence[bytes]) -> None:
    at = _place(chance, found)
    del found[at : at + chance.choice((1, 2, 10, 100, len(found)))]


def _repeat(chance: random.Random, found: bytearray, _: Sequence[bytes]) -> None:
    """Many times the same: what tries each place anew shows by its time."""
    at = _place(chance, found)
    part = bytes(found[at : at + chance.choice((1, 2, 8, 40))])
    found[at:at] = part * chance.choice((1, 2, 50, 2000))
    del found[MOST_BYTES:]


def _splice(chance: random.Random, found: bytearray, pool: Sequence[bytes]) -> None:
    other = chance.choice(pool)
    at, begin = _place(chance, found), chance.randint(0, len(other))
    found[at : at + chance.choice((0, 20))] = other[begin : begin + chance.randint(0, 60)]


_Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]
_CHANGES: tuple[_Change, ...] = (_flip, _write, _word, _word, _cut, _repeat, _splice)
