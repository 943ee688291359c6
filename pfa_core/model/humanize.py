"""Numbers, money, times and sizes for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

MASKED = "masked"
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_SIZES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def count(number: int, noun: str, plural: str = "") -> str:
    """Format a number and its noun: `1 draft`, `596 drafts`, `20,280 records`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def money(amount: Decimal | None) -> str:
    """Format money with cents and thousands separators; None is masked money."""
    return MASKED if amount is None else f"{amount:,.2f}"


def signed(amount: Decimal | None) -> str:
    """Format money with its sign, a plus too."""
    if amount is None:
        return MASKED
    return f"{amount:+,.2f}" if amount else "0.00"


def ago(at: datetime | None, now: datetime | None = None) -> str:
    """Format how long ago in the largest unit that is not zero; `never` for None."""
    if at is None:
        return "never"
    elapsed = (now or datetime.now(UTC)) - at
    return "just now" if elapsed < timedelta(minutes=1) else f"{span(elapsed)} ago"


def records_behind(number: int, since: datetime | None) -> str:
    """Format how many records the mirror lacks, and since when."""
    changed = f"since {since:%Y-%m-%d %H:%M} UTC" if since else "since an unknown time"
    return f"{count(number, 'record')} {changed}"


def span(length: timedelta) -> str:
    """Format a duration in its largest whole unit."""
    seconds = int(length.total_seconds())
    for noun, size in _UNITS:
        if seconds >= size:
            return count(seconds // size, noun)
    return count(seconds, "second")


def size(number: int) -> str:
    """Format a number of bytes in the largest unit: `4.9 GB`, `812 MB`, `1 byte`."""
    for unit, factor in _SIZES:
        if number >= 0.9995 * factor:  # less is rounded to less than 1,000 of the next unit
            digits = 1 if number < 99.95 * factor else 0
            return f"{number / factor:,.{digits}f} {unit}"
    return count(number, "byte")
