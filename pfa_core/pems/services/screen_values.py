"""The typed values of the user-defined-screen service, there and back, each with all its digits."""

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
    """A value that is none of its form."""


def offset_minutes(timezone: str) -> int:
    """Minutes east of UTC of a zone such as `-0500`.

    Raises:
        ScreenFault: It is no zone.
    """
    match = _OFFSET.fullmatch(timezone)
    if not match:
        raise ScreenFault(f"{shorten(timezone)} is no zone such as -0500")
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes


def write_typed(field: Field, value: Any, timezone: str) -> dict[str, Any] | None:
    """A value as the screen takes it; null clears the field."""
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
    """A value as the record holds it, None where the screen shows nothing; not cast yet.

    Args:
        offset: Minutes east of UTC of the zone whose midnights PEMS's dates are.

    Raises:
        ScreenFault: It is not of the form of the field's kind.
    """
    form = {Kind.MONEY: "NUMERICDATA", Kind.DATE: "DATETIMEDATA"}.get(field.kind, "TEXTDATA")
    if value is None:
        return None
    if not isinstance(value, Mapping) or form not in value:
        raise ScreenFault(f"{field.name} is no {form}")
    told = value[form]
    if told is None:
        return None
    if form == "TEXTDATA":
        return _read_text(field, told)
    if not isinstance(told, Mapping):
        raise ScreenFault(f"{field.name} is no {form}")
    return _read_number(field, told) if form == "NUMERICDATA" else _read_day(field, told, offset)


def read_moment(told: Any) -> str:
    """The milliseconds since 1970 of a moment, empty where there is none.

    Raises:
        ScreenFault: It holds none.
    """
    if told is None:
        return ""
    if not isinstance(told, Mapping):
        raise ScreenFault("a moment is no object")
    milliseconds = _milliseconds("DATEUPDATED", told)
    return "" if milliseconds is None else str(milliseconds)


def stamp_of(version: str) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC with all three decimals; empty for none."""
    if not version:
        return ""
    try:
        moment = _EPOCH + timedelta(milliseconds=int(version))
    except OverflowError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write_number(value: int | Decimal) -> dict[str, Any]:
    # Never with an exponent; the number of decimals is the value's own, or PEMS would round it.
    number = Decimal(format(Decimal(value), "f"))
    exponent = number.as_tuple().exponent
    return {
        "VALUE": number.copy_abs(),
        "NUMOFDEC": -exponent if isinstance(exponent, int) else 0,
        "SIGN": "-" if number < 0 else "+",
        "CURRENCY": "XXX",  # ISO 4217 for none; the service wants it said
        "DRCR": "D",
        "qualifier": "OTHER",
    }


def _write_day(day: date, timezone: str) -> dict[str, Any]:
    """Midnight in the zone: the year holds the milliseconds since 1970, the rest is the local day."""
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


def _read_text(field: Field, told: Any) -> Any:
    if not isinstance(told, str):
        raise ScreenFault(f"{field.name} is no TEXTDATA")
    if field.kind is not Kind.FLAG:
        return told
    flag = read_text(field, told)
    if isinstance(flag, Wrong):
        raise ScreenFault(f"{field.name} {flag.reason}")
    return flag


def _read_number(field: Field, told: Mapping[str, Any]) -> int | Decimal | None:
    value = told.get("VALUE")
    if value is None:
        return None
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else value
    except ArithmeticError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise ScreenFault(f"{field.name} is no number")
    return -number if told.get("SIGN") == "-" and number else number


def _read_day(field: Field, told: Mapping[str, Any], offset: int) -> str | None:
    """The day that begins at those milliseconds in PEMS's zone. Where MONTH and DAY are told and
    say another one, it is the day of the value's own zone or of UTC that agrees with them."""
    milliseconds = _milliseconds(field.name, told)
    if milliseconds is None:
        return None
    parts = tuple(str(told.get(name) or "").lstrip("0") for name in ("MONTH", "DAY"))
    days = [_local_day(milliseconds, minutes) for minutes in (offset, *_own_offset(told), 0)]
    if not all(parts):
        days = days[:1]
    for day in days:
        if day and (not all(parts) or parts == (str(day.month), str(day.day))):
            return day.isoformat()
    raise ScreenFault(
        f"{field.name} is no day of the calendar, or MONTH and DAY are of another than YEAR"
    )


def _local_day(milliseconds: int, offset: int) -> date | None:
    """The day there at that moment, None outside of the calendar."""
    try:
        return date.fromordinal((milliseconds + offset * _MINUTE) // _DAY + _EPOCH_DAY)
    except (ValueError, OverflowError):
        return None


def _own_offset(told: Mapping[str, Any]) -> list[int]:
    try:
        return [offset_minutes(str(told.get("TIMEZONE")))]
    except ScreenFault:
        return []


def _milliseconds(name: str, told: Mapping[str, Any]) -> int | None:
    value = told.get("YEAR")
    if value is None:
        return None
    if isinstance(value, bool) or not _WHOLE.fullmatch(str(value)):
        raise ScreenFault(f"{name} holds no milliseconds")
    return int(str(value))
