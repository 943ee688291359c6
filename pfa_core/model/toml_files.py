"""The content of TOML files that a user writes: the configuration, and field maps."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from pfa_core.errors import ConfigInvalid

# A configuration has five; what is written to be deep ends in the recursion of whatever looks at it.
MOST_LEVELS = 20


class _NoNumber(Exception):
    """A number that no value can have."""


def read_toml(
    content: bytes, named: str, *, number: Callable[[str], Any] = float
) -> dict[str, Any]:
    """Parse a TOML file.

    Args:
        named: The file, for messages.
        number: Reads what has a point or an exponent, nan and infinities.

    Raises:
        ConfigInvalid: It is not TOML in UTF-8, nested too deep, or has a number that is refused.
    """
    import tomllib  # most users have no such file

    try:
        parsed = tomllib.loads(content.decode(), parse_float=number)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{named} is not valid TOML: {error}") from error
    except _NoNumber as error:
        raise ConfigInvalid(
            f"{named} has what is not a number that a value can have: {error}"
        ) from None
    except ValueError as error:
        # Python's int takes 4,300 digits at most, and its message is about a setting of Python's.
        raise ConfigInvalid(
            f"{named} is not valid TOML: a number of thousands of digits"
        ) from error
    except RecursionError:
        parsed = None
    if parsed is None or _is_deep(parsed):
        raise ConfigInvalid(f"{named} has tables or lists nested deeper than {MOST_LEVELS} levels")
    if _has_long_integer(parsed):
        raise ConfigInvalid(f"{named} has an integer of more than 64 bits, the most that TOML has")
    return parsed


def json_value(value: Any) -> str | bool | int | float | None:
    """Return a value of a TOML file as one of JSON, or as the text of TOML.

    JSON lacks some: dates, times, infinities and nan. Lists and tables are texts too: no setting is one.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _typed(value)


def _typed(value: Any) -> str:
    """Write a value as a TOML file has it, on one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_quoted(name)} = {_typed(inner)}" for name, inner in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_typed, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    from json import dumps  # its strings are basic strings of TOML

    return dumps(text, ensure_ascii=False)


def exact_number(text: str) -> Decimal:
    """Read a number with its own digits, for `read_toml`.

    It has no more of them than a value may have.
    """
    from pfa_core.exact_json import (
        MAX_DIGITS,
    )  # the configuration is read at each start, without it

    try:
        number = Decimal(text)
    except ArithmeticError:  # of an exponent beyond what Decimal knows
        raise _NoNumber(_shortened(text)) from None
    if not number.is_finite() or abs(number.adjusted()) >= MAX_DIGITS:
        raise _NoNumber(_shortened(text))
    return number


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _is_deep(value: Any) -> bool:
    """Return whether tables and lists are nested deeper than they may be."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _has_long_integer(value: Any) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return any(map(_has_long_integer, inner))
    return isinstance(value, int) and value.bit_length() > 64
