"""Relative values: edits of numbers and dates that start from a record's own."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from math import floor
from typing import Any

from pfa_core.errors import FaultCode, InvalidRequest
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.values import MAX_DECIMALS, MAX_MONEY, Wrong, read_value, shorten, to_number

MOST_ROUNDED = 6  # decimals that a result may be rounded to
KINDS = (Kind.MONEY, Kind.DATE)
_EXACT = Context(prec=200)
_AMOUNT = re.compile(r"([+\-*/])(\d{1,15}(?:\.\d{1,12})?)(%?)", re.ASCII)
_SPAN = re.compile(r"([+-])(\d{1,6})([dwmy])", re.ASCII)
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"m": 1, "y": 12}
FORMS = {
    Kind.MONEY: "+5%, -10%, +250, -250, *1.05 or /2",
    Kind.DATE: "+14d, -2w, +1m or +1y",
}
NOUNS = {
    Kind.MONEY: "a number",
    Kind.DATE: "a date",
    Kind.TEXT: "a text",
    Kind.FLAG: "a flag",
    Kind.CHOICE: "a choice",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Edit of an own value, by percent, plus, times, divided_by, later or value_of.

    These class methods make one, of a record's number or date.
    Money: value * `factor` + `addend`, exact, then rounded to `decimals` where they are given. Dates:
    `months` later, on the same day or the month's last where it is shorter, then `days` later. With
    `source` the value is that of another field of the record.
    """

    written: str
    kind: Kind
    factor: Fraction = Fraction(1)
    addend: Fraction = Fraction(0)
    months: int = 0
    days: int = 0
    source: str = ""
    decimals: int | None = None

    @classmethod
    def percent(cls, number: Decimal | float | str, *, decimals: int | None = None) -> Relative:
        """Add so many per cent to a number; negative: take them off.

        Args:
            decimals: Round the result half up to so many, 0 to 6; None: exact.

        Raises:
            InvalidRequest: Not a number, or another number of decimals.
        """
        return _made(Kind.MONEY, f"{_signed(number)}%", decimals)

    @classmethod
    def plus(cls, number: Decimal | float | str, *, decimals: int | None = None) -> Relative:
        """Add a number; negative: subtract it. The rest as `percent`."""
        return _made(Kind.MONEY, _signed(number), decimals)

    @classmethod
    def times(cls, number: Decimal | float | str, *, decimals: int | None = None) -> Relative:
        """Multiply by a number ≥ 0. The rest as `percent`."""
        return _made(Kind.MONEY, f"*{_plain(number)}", decimals)

    @classmethod
    def divided_by(cls, number: Decimal | float | str, *, decimals: int | None = None) -> Relative:
        """Divide by a number > 0. The rest as `percent`."""
        return _made(Kind.MONEY, f"/{_plain(number)}", decimals)

    @classmethod
    def later(cls, text: str) -> Relative:
        """Move a date by a span: `14d`, `-2w`, `1m`, `1y`.

        Raises:
            InvalidRequest: Another text.
        """
        return _made(Kind.DATE, text if text[:1] in ("+", "-") else f"+{text}", None)

    @classmethod
    def value_of(cls, field: str, *, decimals: int | None = None) -> Relative:
        """Take the value that another field of the record has, a number or date.

        Raises:
            InvalidRequest: Another field, or `decimals` of a date.
        """
        known = FIELDS.get(field)
        if known is None or known.kind not in KINDS:
            raise InvalidRequest(f"not a number or date of a record: {shorten(field)}")
        return _made(known.kind, field, decimals)

    def __str__(self) -> str:
        """Return it as it is written in an assignment."""
        return self.written

    def of(self, field: Field, value: Any) -> Any | Wrong:
        """Compute the new value of a field from a value that the record has."""
        if self.kind is Kind.DATE:
            return self._later(value)
        number = self._number(value)
        if number is None:
            return Wrong(
                FaultCode.INVALID_RANGE,
                f"has more than {MAX_DECIMALS} decimals after {self}; round it with `decimals=2`,"
                ' in a file with "round": 2',
            )
        result = read_value(field, number)
        if isinstance(result, Wrong):
            return Wrong(result.code, f"{result.reason} after {self}")
        return result

    def _number(self, value: Any) -> int | Decimal | None:
        """Return the exact or rounded result; None where it has too many decimals."""
        result = Fraction(value) * self.factor + self.addend
        if self.decimals is not None:
            unit = 10**self.decimals
            result = Fraction(floor(result * unit + Fraction(1, 2)), unit)
        if result.denominator == 1:
            return result.numerator
        digits = result * 10**MAX_DECIMALS
        if digits.denominator != 1:
            return None
        return Decimal(digits.numerator).scaleb(-MAX_DECIMALS, _EXACT).normalize(_EXACT)

    def _later(self, day: str) -> str | Wrong:
        try:
            moved = _months_later(date.fromisoformat(day), self.months) + timedelta(self.days)
        except (OverflowError, ValueError):
            return Wrong(
                FaultCode.INVALID_RANGE, f"would leave the years 1 to 9999 after {self}: {day}"
            )
        return moved.isoformat()


def relative_text(field: Field, text: str, decimals: int | None = None) -> Relative | Wrong | None:
    """Read a text as a relative value of a field; None where it is a value itself.

    Args:
        decimals: What a number is rounded to.
    """
    source = FIELDS.get(text)
    if field.kind not in KINDS or text == "":
        return None
    if source is not None:
        return from_field(field, source, decimals)
    if field.kind is Kind.DATE:
        return span(text)
    return amount(text, decimals)


def forms_of(field: Field) -> str:
    """Return examples of a field's relative values; empty where it takes none."""
    return FORMS.get(field.kind, "")


def require_decimals(decimals: int | None) -> None:
    """Refuse a number of decimals that nothing can be rounded to.

    Raises:
        InvalidRequest: It is not one of 0 to 6.
    """
    if decimals is not None and not is_decimals(decimals):
        raise InvalidRequest(f"`decimals` must be 0 to {MOST_ROUNDED}, not {shorten(decimals)}")


def from_field(field: Field, source: Field, decimals: int | None) -> Relative | Wrong:
    """Take the value of another field, of the same kind."""
    if source.kind is not field.kind:
        return wrong_type(f"must be {NOUNS[field.kind]}, and {source.name} is {NOUNS[source.kind]}")
    return Relative(written=source.name, kind=field.kind, source=source.name, decimals=decimals)


def amount(text: str, decimals: int | None) -> Relative | Wrong | None:
    """Read what becomes of a number; None for another text."""
    match = _AMOUNT.fullmatch(text)
    if not match:
        return None
    operator, number, percent = match[1], Fraction(match[2]), match[3]
    if operator in "*/" and percent:
        return wrong_type(f"not a relative value: {text}; use {FORMS[Kind.MONEY]}")
    if operator == "*":
        return Relative(written=text, kind=Kind.MONEY, factor=number, decimals=decimals)
    if operator == "/":
        if not number:
            return Wrong(FaultCode.INVALID_RANGE, "cannot be divided by zero")
        return Relative(written=text, kind=Kind.MONEY, factor=1 / number, decimals=decimals)
    signed = -number if operator == "-" else number
    if percent:
        return Relative(written=text, kind=Kind.MONEY, factor=1 + signed / 100, decimals=decimals)
    return Relative(written=text, kind=Kind.MONEY, addend=signed, decimals=decimals)


def span(text: str) -> Relative | None:
    """Read what becomes of a date; None for another text."""
    match = _SPAN.fullmatch(text)
    if not match:
        return None
    number, unit = int(match[1] + match[2]), match[3]
    days, months = number * _DAYS.get(unit, 0), number * _MONTHS.get(unit, 0)
    return Relative(written=text, kind=Kind.DATE, days=days, months=months)


def _months_later(day: date, months: int) -> date:
    """Move a date by months: the same day, or the last one of a shorter month."""
    if not months:
        return day
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def digits_of(value: Any) -> str | None:
    """Write a number without an exponent; None for other values and very long ones.

    Written out, 1E+999999999 would fill the memory.
    """
    number = to_number(value)
    if number is None or not -MAX_MONEY < number < MAX_MONEY:
        return None
    if isinstance(number, int):
        return str(number)
    exponent = number.as_tuple().exponent
    return f"{number:f}" if isinstance(exponent, int) and -40 < exponent <= 15 else None


def is_decimals(value: Any) -> bool:
    """Return whether a value is a number of decimals to round to."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_ROUNDED


def _made(kind: Kind, text: str, decimals: int | None) -> Relative:
    """Make one from a text that a program wrote."""
    require_decimals(decimals)
    if kind is Kind.DATE and decimals is not None:
        raise InvalidRequest("a date is not rounded: give no `decimals`")
    field = next(each for each in FIELDS.values() if each.kind is kind)
    found = relative_text(field, text, decimals)
    if isinstance(found, Relative):
        return found
    reason = found.reason if found else f"not a relative value: {shorten(text)}; use {FORMS[kind]}"
    raise InvalidRequest(reason)


def _signed(number: Decimal | float | str) -> str:
    text = _plain(number)
    return text if text.startswith(("+", "-")) else f"+{text}"


def _plain(number: Decimal | float | str) -> str:
    text = digits_of(number)
    if text is None:
        raise InvalidRequest(f"not a number with up to 15 digits: {shorten(number)}")
    return text


def wrong_type(reason: str) -> Wrong:
    """Build the refusal of a value of another type."""
    return Wrong(FaultCode.INVALID_TYPE, reason)
