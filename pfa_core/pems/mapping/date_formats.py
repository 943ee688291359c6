"""Formats of dates such as `dd-MMM-yyyy`, independent of locales."""

from __future__ import annotations

import re
from datetime import date

DATE_FORMAT = "yyyy-MM-dd"
MAX_FORMAT = 40
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_PARTS = {
    "yyyy": r"(?P<year>\d{4})",
    "MMM": r"(?P<name>[A-Za-z]{3})",
    "MM": r"(?P<month>\d{1,2})",
    "dd": r"(?P<day>\d{1,2})",
    "HH": r"\d{1,2}",
    "mm": r"\d{1,2}",
    "ss": r"\d{1,2}",
    "SSS": r"\d{1,9}",
}
_TOKENS = re.compile(r"([A-Za-z])\1*|[^A-Za-z]+")


class DateFormatFault(ValueError):
    """A format with an unknown part, or without year, month and day once each."""


class DateFormat:
    """A format of yyyy, MM or MMM, dd, and HH, mm, ss, SSS, which are ignored.

    Raises:
        DateFormatFault: The format is invalid.
    """

    def __init__(self, text: str) -> None:
        self._tokens = [match[0] for match in _TOKENS.finditer(text[: MAX_FORMAT + 1])]
        for token in self._tokens:
            if token[0].isascii() and token[0].isalpha() and token not in _PARTS:
                raise DateFormatFault(
                    f"unknown part of a date {token!r}; parts are {', '.join(_PARTS)}"
                )
        months = self._tokens.count("MM") + self._tokens.count("MMM")
        if (self._tokens.count("yyyy"), months, self._tokens.count("dd")) != (1, 1, 1):
            raise DateFormatFault("a date needs yyyy, MM or MMM, and dd, each once")
        if len(text) > MAX_FORMAT:
            raise DateFormatFault(f"a format has at most {MAX_FORMAT} characters")
        pattern = "".join(_PARTS.get(token) or re.escape(token) for token in self._tokens)
        self._pattern = re.compile(pattern, re.ASCII)

    def parse(self, text: str) -> str:
        """Return the day of a text as YYYY-MM-DD, empty for an invalid one."""
        match = self._pattern.fullmatch(text.strip())
        if not match:
            return ""
        parts = match.groupdict()
        name = (parts.get("name") or "").upper()
        try:
            month = _MONTHS.index(name) + 1 if name else int(parts["month"])
            return date(int(parts["year"]), month, int(parts["day"])).isoformat()
        except ValueError:
            return ""

    def write(self, day: date) -> str:
        """Return the day in this format; every part of the time of day is zero."""
        parts = {
            "yyyy": f"{day.year:04}",
            "MMM": _MONTHS[day.month - 1],
            "MM": f"{day.month:02}",
            "dd": f"{day.day:02}",
            "SSS": "000",
        }
        return "".join(
            parts.get(token) or ("00" if token in _PARTS else token) for token in self._tokens
        )
