"""Periods of the calendar: months, quarters, years.

A period is a range of months by their numbers, both ends among them, so that one is cut out of a series of
months by its place. What has no date comes after every month.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date

from pfa_core.errors import InvalidRequest
from pfa_core.model.figures import Period
from pfa_core.model.months import month_name, month_number

# The number of what has no date.
UNDATED = 10**9

Range = tuple[int, int]
ALWAYS: Range = (0, UNDATED)

_FORM = re.compile(r"(\d{4})(?:-Q([1-4])|-(\d\d)(?:-(\d\d))?)?", re.ASCII)


def period_of(name: str, number: int) -> str | None:
    """Name the month, quarter or year that a month is in; None: no date."""
    if number == UNDATED:
        return None
    if name == "month":
        return month_name(number)
    year, month = divmod(number, 12)
    return f"{year:04}" if name == "year" else f"{year:04}-Q{month // 3 + 1}"


def range_of(period: str | None) -> Range:
    """Return the months of a period that `period_of` named."""
    if period is None:
        return UNDATED, UNDATED
    year, _, rest = period.partition("-")
    first = int(year) * 12
    if not rest:
        return first, first + 11
    if rest.startswith("Q"):
        first += 3 * (int(rest[1:]) - 1)
        return first, first + 2
    number = month_number(period)
    return number, number


def overlap(one: Range, other: Range) -> Range:
    """Return the months that are in both.

    The first is after the last where there are none.
    """
    return max(one[0], other[0]), min(one[1], other[1])


def within(period: Period) -> Range:
    """Return the months that costs are limited to.

    With a limit, what has no date is out of it.
    """
    if period == Period():
        return ALWAYS
    start = month_number(period.start[:7]) if period.start else 0
    return start, month_number(period.end[:7]) if period.end else UNDATED - 1


def parse_period(start: str | None, end: str | None) -> Period:
    """Read the first and the last day of a period.

    Each may be a day, or a month, quarter or year: `2026-03-31`, `2026-03`, `2026-Q1`, `2026`.

    Raises:
        InvalidRequest: Neither of these; a day within a month; an end before the start.
    """
    first = _edge("start", start) if start else None
    last = _edge("end", end) if end else None
    if first and last and last < first:
        raise InvalidRequest(f"the period ends before it starts: {start} to {end}")
    return Period(first, last)


def _edge(name: str, text: str) -> str:
    match = _FORM.fullmatch(text)
    if match is None:
        raise _refusal(name, text)
    year, quarter, month, day = match.groups()
    try:
        found = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise _refusal(name, text) from None
    if day:
        return _whole(name, text, found)
    if name == "start":
        return found.replace(month=3 * int(quarter) - 2 if quarter else found.month).isoformat()
    last = int(month or (3 * int(quarter) if quarter else 12))
    return date(found.year, last, monthrange(found.year, last)[1]).isoformat()


def _whole(name: str, text: str, day: date) -> str:
    """Require the first or the last day of a month: costs are kept by month."""
    edge = 1 if name == "start" else monthrange(day.year, day.month)[1]
    if day.day != edge:
        which = "first" if name == "start" else "last"
        raise InvalidRequest(
            f"`{name}` must be the {which} day of a month, not {text}",
            hint=f"the nearest: {day.replace(day=edge)}",
        )
    return text


def _refusal(name: str, text: str) -> InvalidRequest:
    return InvalidRequest(
        f"`{name}` must be a month, quarter, year or date, not {text!r}",
        hint="such as 2026-03, 2026-Q1, 2026 or 2026-03-31",
    )
