"""Values as text: plain for programs, and with control characters made visible for people."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

# C0, DEL, C1, bidirectional controls and marks, line separators: what could move a terminal or
# turn a reading order around.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
# As spreadsheets read a cell, its full-width forms too.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"-\d+(\.\d+)?", re.ASCII)
_COPY = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def visible(text: str) -> str:
    r"""The text with control characters written as \n, \x1b, \u202e; safe on any terminal."""
    return _CONTROLS.sub(_escape, text)


def visible_json(text: str) -> str:
    """JSON text that means the same, its control characters as escapes; for terminals.

    JSON's own grammar has none outside of strings, so each stands inside one.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def no_formula(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would take it for a formula.

    A negative number is none and stays one.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def tsv_field(text: str) -> str:
    """A field as PostgreSQL's COPY text format escapes it."""
    return text.translate(_COPY)


def plain(value: Any) -> str:
    """A value as a field of a line: null is empty, numbers keep their digits, no exponent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, int | float | date):
        return str(value)
    from pfa_core import exact_json

    return exact_json.dumps(value)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
