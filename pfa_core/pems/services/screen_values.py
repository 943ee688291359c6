"""The typed values of the user-defined-screen service, with all their digits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pfa_core.model.record import Field, Kind
from pfa_core.model.values import Wrong, read_text, shorten

_DAY = 86_400_000
_MINUTE = 60_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = re.compile(r"([+-])([01]\d|2[0-3])([0-5]\d)", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


class ScreenFault(ValueError):
    """A value of another form than its field's."""


def offset_minutes(timezone: str) -> int:
    """Return the minutes east of UTC of a zone such as `-0500`.

    Raises:
        ScreenFault: The zone is invalid.
    """
    match = _OFFSET.fullmatch(timezone)
    if not match:
        raise ScreenFault(f"invalid zone {shorten(timezone)}, use one such as -0500")
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes


def write_typed(field: Field, value: Any, timezone: str) -> dict[str, Any] | None:
    """Convert a value to what the screen takes; null clears the field."""
    if value is None:
        return None
    if field.kind is Kind.MONEY:
        return {"NUMERICDATA": _write_number(value)}
    if field.kind is Kind.DATE:
        return {"DATETIMEDATA": _write_day(date.fromisoformat(value), timezone)}
    if isinstance(value, bool):
        return {"TEXTDATA": "true" if value else "false"}
    return {"TEXTDATA": str(value)}


def read_typed(field: Field, value: Any, offset: int) -> Any:
    """Convert a value of the screen, None where it shows nothing; not cast yet.

    Args:
        offset: Minutes east of UTC of the zone whose midnights PEMS's dates are.

    Raises:
        ScreenFault: It has another form than the field's kind.
    """
    form = {Kind.MONEY: "NUMERICDATA", Kind.DATE: "DATETIMEDATA"}.get(field.kind, "TEXTDATA")
    if value is None:
        return None
    if not isinstance(value, Mapping) or form not in value:
        raise ScreenFault(f"{field.name} is not a {form}")
    content = value[form]
    if content is None:
        return None
    if form == "TEXTDATA":
        return _read_text(field, content)
    if not isinstance(content, Mapping):
        raise ScreenFault(f"{field.name} is not a {form}")
    if form == "NUMERICDATA":
        return _read_number(field, content)
    return _read_day(field, content, offset)


def read_moment(value: Any) -> str:
    """Return the milliseconds since 1970 of a moment, empty where there is none.

    Raises:
        ScreenFault: The value has another form.
    """
    if value is None:
        return ""
    if not isinstance(value, Mapping):
        raise ScreenFault("a moment is not an object")
    milliseconds = _milliseconds("DATEUPDATED", value)
    return "" if milliseconds is None else str(milliseconds)


def stamp_of(version: str) -> str:
    """Format milliseconds since 1970 as RFC 3339 in UTC; empty for none."""
    if not version:
        return ""
    try:
        moment = _EPOCH + timedelta(milliseconds=int(version))
    except OverflowError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write_number(value: int | Decimal) -> dict[str, Any]:
    # Without an exponent; PEMS rounds to NUMOFDEC, which therefore is the value's own.
    number = Decimal(format(Decimal(value), "f"))
    exponent = number.as_tuple().exponent
    return {
        "VALUE": number.copy_abs(),
        "NUMOFDEC": -exponent if isinstance(exponent, int) else 0,
        "SIGN": "-" if number < 0 else "+",
        "CURRENCY": "XXX",  # ISO 4217 for none; the service requires it
        "DRCR": "D",
        "qualifier": "OTHER",
    }


def _write_day(day: date, timezone: str) -> dict[str, Any]:
    """Write midnight in the zone: YEAR is milliseconds since 1970."""
    days = day.toordinal() - _EPOCH_DAY
    return {
        "YEAR": days * _DAY - offset_minutes(timezone) * _MINUTE,
        "MONTH": day.month,
        "DAY": day.day,
        "HOUR": 0,
        "MINUTE": 0,
        "SECOND": 0,
        "SUBSECOND": 0,
        "TIMEZONE": timezone,
        "qualifier": "OTHER",
    }


def _read_text(field: Field, value: Any) -> Any:
    if not isinstance(value, str):
        raise ScreenFault(f"{field.name} is not a TEXTDATA")
    if field.kind is not Kind.FLAG:
        return value
    flag = read_text(field, value)
    if isinstance(flag, Wrong):
        raise ScreenFault(f"{field.name} {flag.reason}")
    return flag


def _read_number(field: Field, content: Mapping[str, Any]) -> int | Decimal | None:
    value = content.get("VALUE")
    if value is None:
        return None
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else value
    except ArithmeticError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise ScreenFault(f"{field.name} is not a number")
    return -number if content.get("SIGN") == "-" and number else number


def _read_day(field: Field, content: Mapping[str, Any], offset: int) -> str | None:
    """Read the day that begins at those milliseconds in PEMS's zone.

    Where MONTH and DAY say another one, it is the day of the value's own zone, or of UTC, that agrees
    with them.
    """
    milliseconds = _milliseconds(field.name, content)
    if milliseconds is None:
        return None
    parts = tuple(str(content.get(name) or "").lstrip("0") for name in ("MONTH", "DAY"))
    days = [_local_day(milliseconds, minutes) for minutes in (offset, *_own_offset(content), 0)]
    if not all(parts):
        days = days[:1]
    for day in days:
        if day and (not all(parts) or parts == (str(day.month), str(day.day))):
            return day.isoformat()
    raise ScreenFault(
        f"{field.name} is not a valid date, or MONTH and DAY are of another one than YEAR"
    )


def _local_day(milliseconds: int, offset: int) -> date | None:
    """Return the day at that moment in that zone, None outside of the calendar."""
    try:
        return date.fromordinal((milliseconds + offset * _MINUTE) // _DAY + _EPOCH_DAY)
    except (ValueError, OverflowError):
        return None


def _own_offset(content: Mapping[str, Any]) -> list[int]:
    try:
        return [offset_minutes(str(content.get("TIMEZONE")))]
    except ScreenFault:
        return []


def _milliseconds(name: str, content: Mapping[str, Any]) -> int | None:
    value = content.get("YEAR")
    if value is None:
        return None
    if isinstance(value, bool) or not _WHOLE.fullmatch(str(value)):
        raise ScreenFault(f"{name} has no milliseconds")
    return int(str(value))
