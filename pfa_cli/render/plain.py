"""Values as plain text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> str:
    """Format a value: null is empty, numbers keep their digits, no exponent."""
    # The first ones are nearly all of a long table.
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        text = str(value)  # takes a third of what `format` does
        return text if "E" not in text else format(value, "f")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, int | float | date):
        return str(value)
    from pfa_core import exact_json

    return exact_json.dumps(value)


def instant(at: datetime) -> str:
    """Format a time as RFC 3339 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
