"""Days of an expression: a date, or a distance from today."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

_BASES = {"today": 0, "yesterday": -1, "tomorrow": 1}
_UNITS = {"d": 1, "w": 7, "m": 31, "y": 366}  # days at most
MAX_DISTANCE = 36_600  # days
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Day:
    """A day: a base, or today where it is None, then whole units one after the other.

    Positive numbers of units go forward, negative ones back. A month or year later is the same day of the
    month, or the last one of a shorter month.
    """

    base: date | None
    steps: tuple[tuple[int, str], ...] = ()

    def on(self, today: date) -> date:
        """Return the date.

        Raises:
            OverflowError: It leaves the years 1 to 9999.
        """
        day = self.base or today
        for number, unit in self.steps:
            day = _moved(day, number, unit)
        return day


def is_step(word: str) -> bool:
    """Return whether a word goes on from the day before it: `+30d`, `-`."""
    return word[:1] in ("+", "-")


def parse_day(text: str) -> Day:
    """Read `2026-12-31`, `today`, `today+30d`, `-2w`, `2026-12-31+1m`.

    Raises:
        ValueError: Another spelling, or more than a hundred years from its base.
        OverflowError: It leaves the years 1 to 9999.
    """
    word, rest = _base(text)
    steps = _steps(rest)
    if sum(abs(number) * _UNITS[unit] for number, unit in steps) > MAX_DISTANCE:
        raise ValueError("more than a hundred years")
    if word in _BASES:
        return Day(None, ((_BASES[word], "d"), *steps) if _BASES[word] else steps)
    day = Day(date.fromisoformat(word), steps)
    day.on(date.min)
    return day


def _base(text: str) -> tuple[str, str]:
    """Split a day from the steps behind it; no day is today."""
    if is_step(text):
        return "today", text
    lowered = text.lower()
    for word in _BASES:
        if lowered.startswith(word):
            return word, text[len(word) :]
    if len(text) < 10 or not text.isascii() or text[4] != "-" or text[7] != "-":
        raise ValueError(text)
    return text[:10], text[10:]


def _steps(text: str) -> tuple[tuple[int, str], ...]:
    found: list[tuple[int, str]] = []
    place = 0
    while place < len(text):
        sign, end = text[place], place + 1
        while end < len(text) and "0" <= text[end] <= "9":
            end += 1
        digits, unit = text[place + 1 : end], text[end : end + 1].lower()
        if sign not in "+-" or not 1 <= len(digits) <= _DIGITS or unit not in _UNITS or not unit:
            raise ValueError(text)
        found.append((int(sign + digits), unit))
        place = end + 1
    return tuple(found)


def _moved(day: date, number: int, unit: str) -> date:
    if unit in "dw":
        return day + timedelta(days=number * (7 if unit == "w" else 1))
    months = day.year * 12 + day.month - 1 + number * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError("year out of range")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
