"""Relative values in deltas: typed, and as objects of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pfa_core.errors import FaultCode
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.relative import (
    KINDS,
    MOST_ROUNDED,
    NOUNS,
    Relative,
    amount,
    digits_of,
    from_field,
    is_decimals,
    relative_text,
    span,
    wrong_type,
)
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.values import Wrong, read_value, shorten

KEYS = ("add", "multiply", "divide", "field", "round")
_OPERATORS = ("add", "multiply", "divide", "field")
_SIGNS = {"multiply": "*", "divide": "/", "add": "+"}


def read_plain_or_relative(field: Field, value: Any) -> Any | Wrong | list[Wrong]:
    """Validate a value of a delta, which may be relative; one that is stays so."""
    # A text is asked about first: whether a value is a Mapping takes as long as to read it.
    if not isinstance(value, str) and isinstance(value, Relative | Mapping):
        return relative_value(field, value)
    result = read_value(field, value)
    if isinstance(result, Wrong) and isinstance(value, str):
        return Wrong(result.code, result.reason + _meant(field, value.strip()))
    return result


def _meant(field: Field, text: str) -> str:
    """Name the object that a text would be; empty where it is not relative."""
    found = relative_text(field, text)
    if not isinstance(found, Relative):
        return ""
    if found.source:
        key, part = "field", found.source
    else:
        key = next(key for key, sign in _SIGNS.items() if sign == text[0] or key == "add")
        part = text.lstrip("+*/")
    return f'; relative values are objects of JSON: {{"{key}": "{part}"}}'


def relative_value(field: Field, value: Relative | Mapping[str, Any]) -> Relative | list[Wrong]:
    """Read a relative value of a delta: typed, or an object.

    `{"add": "5%", "round": 2}`, `{"multiply": 1.05}`, `{"divide": 2}`, `{"field": "originalStart"}`.

    Returns:
        It, or all its faults.
    """
    if field.kind not in KINDS:
        shown = str(value) if isinstance(value, Relative) else "an object"
        return [wrong_type(f"takes no relative value (numbers and dates do), not {shown}")]
    if isinstance(value, Relative):
        if value.kind is field.kind:
            return value
        return [wrong_type(f"must be {NOUNS[field.kind]}, and {value} is of {NOUNS[value.kind]}")]
    wrongs = [
        Wrong(
            FaultCode.UNKNOWN_FIELD,
            f"{shorten(key)} is not a part of a relative value ({', '.join(KEYS)})"
            f"{did_you_mean(str(key), KEYS)}",
        )
        for key in value
        if key not in KEYS
    ]
    rounded = value.get("round")
    if wrong := _wrong_decimals(field, rounded):
        wrongs.append(wrong)
    given = [key for key in _OPERATORS if value.get(key) is not None]
    if len(given) != 1:
        wrongs.append(wrong_type(f"a relative value has one of {', '.join(_OPERATORS)}"))
        return wrongs
    found = _from_key(field, given[0], value[given[0]], None if wrong else rounded)
    if isinstance(found, Wrong):
        return [*wrongs, found]
    return wrongs or found


def _wrong_decimals(field: Field, rounded: Any) -> Wrong | None:
    if rounded is None:
        return None
    if field.kind is not Kind.MONEY:
        return wrong_type("round: a date is not rounded")
    if not is_decimals(rounded):
        return Wrong(
            FaultCode.INVALID_RANGE, f"round: must be 0 to {MOST_ROUNDED}, not {shorten(rounded)}"
        )
    return None


def _from_key(field: Field, key: str, part: Any, decimals: int | None) -> Relative | Wrong:
    if key == "field":
        source = FIELDS.get(part) if isinstance(part, str) else None
        if source is None:
            same_kind = [each.name for each in FIELDS.values() if each.kind is field.kind]
            meant = did_you_mean(part, same_kind) if isinstance(part, str) else ""
            return wrong_type(f"field: not a field of a record: {shorten(part)}{meant}")
        return from_field(field, source, decimals)
    text = digits_of(part) or (part.strip() if isinstance(part, str) else "")
    if key != "add" or text[:1] not in ("+", "-"):
        text = _SIGNS[key] + text
    found = span(text) if field.kind is Kind.DATE else amount(text, decimals)
    if found is None:
        return wrong_type(f"{key}: not a relative value: {shorten(part)}; use {_json_forms(field)}")
    return found


def _json_forms(field: Field) -> str:
    if field.kind is Kind.DATE:
        return '"14d", "-2w", "1m" or "1y" with add'
    return '"5%" or -250 with add, 1.05 with multiply, 2 with divide'
