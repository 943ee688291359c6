"""Comparison of PEMS's versions, where both are instants or both are counts."""

from __future__ import annotations

from datetime import datetime

MAX_DIGITS = 30  # of a count; Python refuses to read numbers of thousands of digits
_DAY, _SECONDS = len("2026-11-24"), len("2026-11-24T08:00:00")


def is_older(version: str, than: str) -> bool:
    """Return whether a version is earlier, or a smaller count, than another.

    A version is a text of PEMS. Two are compared where both are whole numbers, or both ISO 8601 dates or
    times, both with or both without a zone, and with one letter before the time; other texts are older
    than nothing. Where one has no fraction of a second, neither fraction counts: services of one PEMS write
    the same instant with and without it.
    """
    if _is_count(version) and _is_count(than):
        return int(version) < int(than)
    one, other = _instant(version), _instant(than)
    if len({text[_DAY] for text in (version, than) if len(text) > _DAY}) > 1:
        return False
    if one is None or other is None or (one.tzinfo is None) != (other.tzinfo is None):
        return False
    if not (_has_fraction(version) and _has_fraction(than)):
        one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    return one < other


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def _instant(text: str) -> datetime | None:
    if text[4:5] != "-":  # a bare number such as 20261124 is a counter, not a date
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _has_fraction(text: str) -> bool:
    return text[_SECONDS : _SECONDS + 1] in (".", ",")
