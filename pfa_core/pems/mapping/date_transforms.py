"""Transforms of dates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from pfa_core.pems.mapping.date_formats import DATE_FORMAT, DateFormat
from pfa_core.pems.mapping.steps import Cells, Scope, Step, TransformFault, same, whole_of

_DAYS = re.compile(r"\d{4}-\d\d-\d\d")


def date_parse(parameters: Any) -> Step:
    """Make the step that converts a day in a format of PEMS to YYYY-MM-DD."""
    pattern = _format(parameters)

    def forward(text: str, _: Cells) -> str:
        return pattern.parse(text) or text

    return Step(forward, same, scope=Scope.GRID)


def date_format(parameters: Any) -> Step:
    """Make the step that converts a day YYYY-MM-DD to another format."""
    pattern = _format(DATE_FORMAT if parameters is None else parameters)

    def forward(text: str, _: Cells) -> str:
        day = _day(text)
        return text if day is None else pattern.write(day)

    return Step(forward, same, scope=Scope.GRID)


def _format(parameters: Any) -> DateFormat:
    if not isinstance(parameters, str):
        raise TransformFault(f"the format of a date is a text such as {DATE_FORMAT!r}")
    return DateFormat(parameters)


def date_add(parameters: Any) -> Step:
    """Make the step that adds days, months or years, within the month's days."""
    return _shifted(parameters, 1)


def date_subtract(parameters: Any) -> Step:
    """Make the step that subtracts days, months or years, within the month's days."""
    return _shifted(parameters, -1)


def _shifted(parameters: Any, sign: int) -> Step:
    if not isinstance(parameters, Mapping) or len(parameters) != 1:
        raise TransformFault("needs one of days, months, years and a whole number")
    unit, number = next(iter(parameters.items()))
    amount = sign * whole_of(number)
    if unit == "days":
        return Step(
            lambda text, _: _on_days(text, amount),
            lambda text: _on_days(text, -amount),
            changes=True,
        )
    if unit not in ("months", "years"):
        raise TransformFault("needs one of days, months, years and a whole number")
    months = amount * (12 if unit == "years" else 1)
    # Not reversible: the 31st of one month and the 30th both become the 30th of the next.
    return Step(lambda text, _: _on_months(text, months))


def _day(text: str) -> date | None:
    """Return the day that a text begins with, None where it begins with another text."""
    match = _DAYS.match(text.strip())
    try:
        return date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def _on_days(text: str, days: int) -> str:
    day = _day(text)
    try:
        return text if day is None else (day + timedelta(days=days)).isoformat()
    except OverflowError:
        return text


def _on_months(text: str, months: int) -> str:
    day = _day(text)
    if day is None:
        return text
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in range(day.day, day.day - 4, -1):
        try:
            return date(year, month + 1, last).isoformat()
        except (ValueError, OverflowError):
            continue
    return text
