"""The notation of a table: separators, numbers and dates of a country, encoding."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from pfa_core.errors import InvalidRequest
from pfa_core.model.suggest import not_one_of

DATE_ORDERS = ("dmy", "mdy", "ymd", "serial")
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
MARKS = {"point": ".", "comma": ",", "blank": " ", "apostrophe": "'"}

_BLANKS = " \u00a0\u202f"
_APOSTROPHES = "'\u2019"
_OTHER = {".": ",", ",": "."}
_PLAIN = re.compile(r"-?\d{1,40}(?:([.,])\d{1,40})?", re.ASCII)
# Thousands between equal marks, then maybe decimals after another one.
_GROUPED = re.compile(
    rf"(-?[1-9]\d{{0,2}}(?:([.,{_APOSTROPHES}{_BLANKS}])\d{{3}})(?:\2\d{{3}}){{0,12}})(?:([.,])(\d{{1,40}}))?",
    re.ASCII,
)
_DAY = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[T ]0?0:00(?::00(?:\.0{1,9})?)?)?", re.ASCII
)
_SERIAL = re.compile(r"\d{1,7}(?:\.0{1,9})?", re.ASCII)
_FIRST_DAY = date(1899, 12, 30)  # of a serial; those below 61 count a 29 February 1900
_FIRST_DAY_1904 = date(1904, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notation:
    """What is said of a table beforehand.

    Of what is empty the certain is read, the rest refused.

    Args:
        decimal: The mark before decimals, `.` or `,`.
        thousands: The mark between thousands: `.`, `,`, a blank or an apostrophe.
        dates: The order in dates, one of `DATE_ORDERS`; serial: days as a spreadsheet counts them.
        separator: The character between columns: a comma, a semicolon, a tab or a bar.
        encoding: As Python names it, such as `cp1252` or `utf-16`.
        sheet: The name of the sheet in a workbook.

    Raises:
        InvalidRequest: Unknown values, one mark for decimals and thousands.
    """

    decimal: str = ""
    thousands: str = ""
    dates: str = ""
    separator: str = ""
    encoding: str = ""
    sheet: str = ""

    def __post_init__(self) -> None:
        """Take words for characters."""
        for name, words in (("decimal", MARKS), ("thousands", MARKS), ("separator", SEPARATORS)):
            text = getattr(self, name)
            object.__setattr__(self, name, words.get(text, text))
        _require("decimal", self.decimal, (".", ","), ("point", "comma"))
        _require("thousands", self.thousands, tuple(MARKS.values()), tuple(MARKS))
        _require("dates", self.dates, DATE_ORDERS, DATE_ORDERS)
        _require("separator", self.separator, tuple(SEPARATORS.values()), tuple(SEPARATORS))
        if self.decimal and self.decimal == self.thousands:
            raise InvalidRequest(
                f"`decimal` and `thousands` are both {self.decimal!r}", parameter="thousands"
            )
        if self.encoding and not _is_text_encoding(self.encoding):
            raise InvalidRequest(
                f"unknown encoding {self.encoding!r}", hint="such as utf-8, utf-16, cp1252"
            )

    def refuse(self, *names: str, of: str) -> None:
        """Refuse what is said of a file that has nothing of it.

        Args:
            names: Of the parts that it does not have.
            of: What the file is, as in "a workbook".

        Raises:
            InvalidRequest: One of them is said.
        """
        for name in names:
            if getattr(self, name):
                raise InvalidRequest(f"`{name}` is not for {of}", parameter=name)


def _require(name: str, text: str, known: tuple[str, ...], words: tuple[str, ...]) -> None:
    if text and text not in known:
        raise not_one_of(f"unknown `{name}`: {text!r}", text, words, listed="known")


def _is_text_encoding(name: str) -> bool:
    with suppress(LookupError, ValueError):
        codecs.lookup(name)
        return isinstance("a".encode(name), bytes)
    return False


def readings_of_number(text: str, notation: Notation) -> dict[str, str]:
    """Return what a text can mean as a number, by the mark of its decimals.

    The numbers have a point. Two readings: it is in doubt. None: it is not a number. The mark is empty
    where nothing shows it.
    """
    text = text.strip()
    found: dict[str, str] = {}
    if plain := _PLAIN.fullmatch(text):
        mark = plain[1] or ""
        if not mark or (notation.decimal in ("", mark) and notation.thousands != mark):
            found[mark] = text.replace(",", ".")
    if grouped := _GROUPED.fullmatch(text):
        whole, group, mark, decimals = grouped.groups()
        kind = " " if group in _BLANKS else "'" if group in _APOSTROPHES else group
        implied = mark or _OTHER.get(kind, "")
        if (
            mark != kind
            and notation.decimal not in (kind, _OTHER.get(mark or "", "-"))
            and notation.thousands in ("", kind)
        ):
            found[implied] = whole.replace(group, "") + (f".{decimals}" if mark else "")
    return found


def readings_of_date(text: str, notation: Notation) -> dict[str, str]:
    """Return what a text can mean as a date YYYY-MM-DD: by the order of its parts.

    Two readings: it is in doubt. None: it is not such a date.
    """
    text = text.strip()
    if notation.dates == "serial":
        day = of_serial(Decimal(text)) if _SERIAL.fullmatch(text) else None
        return {"serial": day} if day else {}
    match = _DAY.fullmatch(text)
    if not match:
        return {}
    first, _, second, third = match.groups()
    if len(first) > 2:
        orders = {"ymd": (first, second, third)}
    else:
        orders = {"dmy": (third, second, first), "mdy": (third, first, second)}
        if notation.dates:
            orders = {name: of for name, of in orders.items() if name == notation.dates}
    days = {name: _day(*parts) for name, parts in orders.items()}
    return {name: day for name, day in days.items() if day}


@lru_cache(maxsize=20_000)
def _day(year: str, month: str, day: str) -> str:
    """Return a day of four-digit years; empty where there is none."""
    if len(year) != 4 or len(day) > 2:
        return ""
    with suppress(ValueError):
        return date(int(year), int(month), int(day)).isoformat()
    return ""


def of_serial(number: Decimal | int | float, *, is_1904: bool = False) -> str:
    """Return the day that a spreadsheet counts so; empty for a time, or for no day."""
    days = Decimal(number)
    if not days.is_finite() or days != days.to_integral_value() or not 0 <= days < 2958466:
        return ""
    if is_1904:
        return (_FIRST_DAY_1904 + timedelta(days=int(days))).isoformat() if days < 2957004 else ""
    if days < 61:  # 1900 was no leap year, and a spreadsheet thinks it was
        return (_FIRST_DAY + timedelta(days=int(days) + 1)).isoformat() if 0 < days < 60 else ""
    return (_FIRST_DAY + timedelta(days=int(days))).isoformat()
