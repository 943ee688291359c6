"""Values of a page as texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from unicodedata import category

from pfa_core.model.humanize import ago, count, money, signed
from pfa_core.model.modification import State
from pfa_core.reports.page import Kind, Value

# Marks of direction and the byte order mark; joiners belong to letters and stay.
_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
NONE = "–"  # of a value that is not there
LONGEST = 500  # characters of a text
_IN_STATE: Mapping[State, Callable[[int], str]] = {
    State.DRAFT: lambda number: count(number, "draft"),
    State.COMMITTED: "{:,} committed".format,
    State.SYNCING: "{:,} being sent".format,
    State.SYNC_ERROR: "{:,} not taken by PEMS".format,
    State.CONFLICT: "{:,} in conflict".format,
}


def shown(value: Value, kind: Kind) -> str:
    """Write a value, in the form that the tables of the program have."""
    if value is None:
        return NONE
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, str):
        return visible(cut(value, LONGEST))
    if kind is Kind.MONEY:
        return money(Decimal(value))
    if kind is Kind.CHANGE:
        return signed(Decimal(value))
    if kind is Kind.PERCENT:
        return percent(Decimal(value))
    return f"{value:,}"


def percent(value: Decimal) -> str:
    """Write a change in per cent, with its sign."""
    return f"{value:+,.2f} %" if value else "0.00 %"


def moment(at: datetime) -> str:
    """Write a time to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def moment_and_age(at: datetime | None, now: datetime) -> str:
    """Write a time with how long ago that was, for a page that is read later."""
    return f"{moment(at)} ({ago(at, now)})" if at else "never"


def by_states(states: Mapping[str, int], user_id: str) -> str:
    """Write whose changes there are by state: `by ann: 2 drafts, 18 committed`."""
    parts = [_IN_STATE[State(state)](number) for state, number in states.items()]
    return f"by {user_id}: {', '.join(parts) or 'none'}"


def visible(text: str) -> str:
    r"""Write control characters and marks of direction as \n, \x1b, \u202e."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if not (char in _MARKS or category(char) in ("Cc", "Cs", "Zl", "Zp")):
        return char
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cut(text: str, most: int) -> str:
    """Shorten a text to a number of characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
