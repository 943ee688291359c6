"""Validation of field values, strict from JSON, lenient from text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pfa_core.errors import FaultCode
from pfa_core.model.keys import invisible_in, normal_key
from pfa_core.model.record import Field, Kind

MAX_MONEY = Decimal(10) ** 15
MAX_DECIMALS = 12

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?", re.ASCII)
_PLAIN_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
# As spreadsheets of some countries show numbers: 1.234,50 and 1,234.50 and 1 234,50.
_SEPARATED = re.compile(r"-?\d[\d.,'\s\xa0\u202f\u2019]*[.,]\d+", re.ASCII)
_NUMBER_HINT = ": decimals follow a point, thousands have no separator"
_TRUE = frozenset(("y", "yes", "true", "1"))
_FALSE = frozenset(("n", "no", "false", "0", ""))


@dataclass(frozen=True, slots=True)
class Wrong:
    """A refused value: a fault code and a reason to show."""

    code: FaultCode
    reason: str


def read_value(field: Field, value: Any) -> Any | Wrong:
    """Validate a JSON value; return it as it is stored.

    A text that identifies or groups records gets the form of a key and has no invisible characters; free
    texts stay as they are. An empty text is null, unless the field's default is one. A number written as
    text becomes a number; a date with a midnight time becomes a date. Null clears texts, dates and money;
    flags and choices refuse it.
    """
    if value is None:
        if field.kind is Kind.CHOICE:
            return Wrong(FaultCode.MISSING_REQUIRED_FIELD, "cannot be null")
        if field.kind is Kind.FLAG:
            return Wrong(FaultCode.INVALID_TYPE, "must be true or false, not null")
        return None
    return _READERS[field.kind](field, value)


def read_text(field: Field, text: str) -> Any | Wrong:
    """Validate a value that came as text (a CSV cell, a grid cell, `FIELD=VALUE`).

    The empty text and `null` mean null; flags take Y/N, yes/no, true/false, 1/0 in any case; a
    choice is found whatever its case, by its spellings too.
    """
    stripped = text.strip()
    if field.kind is Kind.FLAG:
        return _flag_from_text(stripped)
    if stripped in ("", "null"):
        return None
    if field.kind is Kind.CHOICE:
        named = {**field.spellings, **{choice.lower(): choice for choice in field.choices}}
        return read_value(field, named.get(stripped.lower(), stripped))
    return read_value(field, stripped)


def _flag_from_text(text: str) -> bool | Wrong:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    return Wrong(FaultCode.INVALID_TYPE, f"must be Y or N, true or false, not {shorten(text)}")


def _read_text(field: Field, value: Any) -> str | Wrong | None:
    if not isinstance(value, str):
        return Wrong(FaultCode.INVALID_TYPE, f"must be a text, not {shorten(value)}")
    text = value
    if field.is_key:
        text = normal_key(value)
        if invisible := invisible_in(text, lines=field.name != "pfaId"):
            return Wrong(FaultCode.INVALID_TYPE, f"holds an invisible character, {invisible}")
    if field.code:
        text = text.strip().upper()
    if len(text) > field.max_length:
        return Wrong(
            FaultCode.INVALID_RANGE,
            f"is {len(text):,} characters long; at most {field.max_length:,}",
        )
    # A table has no other way to say null.
    return None if not text and field.default is None else text


def _read_date(_: Field, value: Any) -> str | Wrong:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return Wrong(FaultCode.INVALID_TYPE, f"must be a date YYYY-MM-DD, not {shorten(value)}")
    if not _on_calendar(match[1]):
        return Wrong(FaultCode.INVALID_TYPE, f"{match[1]} is not a valid date")
    return match[1]


@lru_cache(maxsize=20_000)  # a million records have a few thousand different days
def _on_calendar(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _read_money(_: Field, value: Any) -> int | Decimal | Wrong:
    number = to_number(value)
    if number is None:
        hint = (
            _NUMBER_HINT if isinstance(value, str) and _SEPARATED.fullmatch(value.strip()) else ""
        )
        return Wrong(FaultCode.INVALID_TYPE, f"must be a number, not {shorten(value)}{hint}")
    if number < 0:
        return Wrong(FaultCode.INVALID_RANGE, f"must not be negative, is {shorten(number)}")
    if number >= MAX_MONEY:
        return Wrong(FaultCode.INVALID_RANGE, f"must be below 10^15, is {shorten(number)}")
    exponent = Decimal(number).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        return Wrong(FaultCode.INVALID_RANGE, f"has more than {MAX_DECIMALS} decimals")
    return number


def to_number(value: Any) -> int | Decimal | None:
    """Return a JSON number, or one written as text, exactly; None for another value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        number = Decimal(value.strip()) if _PLAIN_NUMBER.fullmatch(value.strip()) else None
    elif isinstance(value, float):
        number = Decimal(repr(value))
    else:
        number = value if isinstance(value, Decimal) else None
    return number if number is not None and number.is_finite() else None


def _read_flag(_: Field, value: Any) -> bool | Wrong:
    if isinstance(value, bool):
        return value
    return Wrong(FaultCode.INVALID_TYPE, f"must be true or false, not {shorten(value)}")


def _read_choice(field: Field, value: Any) -> str | Wrong:
    text = value.strip() if isinstance(value, str) else value
    if text in field.choices:
        return text
    return Wrong(
        FaultCode.INVALID_ENUM_VALUE, f"must be {' or '.join(field.choices)}, not {shorten(value)}"
    )


def is_storable(field: Field, value: Any) -> bool:
    """Return whether a drafted value of the field is of its kind and in its range.

    What `read_value` returns is. The database checks the same (pfa_is_delta).
    """
    if value is None:
        return field.kind not in (Kind.CHOICE, Kind.FLAG)
    if field.kind is Kind.TEXT:
        return isinstance(value, str) and len(value) <= field.max_length
    if field.kind is Kind.DATE:
        match = _DATE.fullmatch(value) if isinstance(value, str) else None
        return match is not None and match[1] == value and _on_calendar(value)
    if field.kind is Kind.MONEY:
        return not isinstance(value, str) and not isinstance(_read_money(field, value), Wrong)
    if field.kind is Kind.FLAG:
        return isinstance(value, bool)
    return value in field.choices


_READERS = {
    Kind.TEXT: _read_text,
    Kind.DATE: _read_date,
    Kind.MONEY: _read_money,
    Kind.FLAG: _read_flag,
    Kind.CHOICE: _read_choice,
}


def shorten(value: Any, width: int = 40) -> str:
    """Quote a value for a message.

    The quotation is not longer than the width, and control characters are escaped.
    """
    text = repr(value) if isinstance(value, str) else _plain(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 1000:
        return "a number of hundreds of digits"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
