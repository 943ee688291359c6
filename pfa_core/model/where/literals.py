"""Values of an expression, read as the kind of the field they are compared with."""

from __future__ import annotations

from decimal import Decimal

from pfa_core.model.keys import normal_key
from pfa_core.model.record import Field, Kind
from pfa_core.model.values import Wrong, read_text, shorten
from pfa_core.model.where.days import parse_day
from pfa_core.model.where.tree import Value

_MAX_DIGITS = 40


def read_literal(field: Field, text: str) -> Value:
    """Read a value of the field's kind.

    Raises:
        ValueError: It is not one; the message says why.
    """
    if field.kind is Kind.MONEY:
        return _number(text)
    if field.kind is Kind.DATE:
        return _day(text)
    if field.kind is Kind.TEXT:
        return _text(field, text)
    value = read_text(field, text) if text.strip() else None
    if isinstance(value, Wrong):
        raise ValueError(value.reason)
    if not isinstance(value, str | bool):
        raise ValueError("is never empty nor null; for records without it write: is null")
    return value


def read_part(field: Field, text: str) -> str:
    """Return a text to be contained, in the form of the field's values."""
    return (normal_key(text) or text) if field.is_key else text


def _text(field: Field, text: str) -> str:
    key = (normal_key(text) or text) if field.is_key else text
    return key.strip().upper() if field.code else key


def _number(text: str) -> Decimal:
    digits = text.strip().removeprefix("-")
    whole, point, decimals = digits.partition(".")
    valid = (
        digits.isascii()
        and whole.isdigit()
        and (decimals.isdigit() if point else True)
        and len(digits) <= _MAX_DIGITS
    )
    if not valid:
        raise ValueError(f"must be a number, not {shorten(text)}")
    return Decimal(text.strip())


def _day(text: str) -> Value:
    try:
        return parse_day(text.strip())
    except OverflowError:
        raise ValueError(f"leaves the years 1 to 9999: {shorten(text)}") from None
    except ValueError as error:
        if "hundred" in str(error):
            raise ValueError(f"is more than a hundred years away: {shorten(text)}") from None
        raise ValueError(
            f"must be a date YYYY-MM-DD, today, today+30d, -2w or +1m, not {shorten(text)}"
        ) from None
