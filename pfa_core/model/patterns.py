"""Patterns of records from JSON: their fields, and the types of the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import contains, itemgetter
from types import NoneType
from typing import Any

from pfa_core.model.casts import CASTS, Cast
from pfa_core.model.record import MAX_ID, Kind
from pfa_core.model.values import MAX_DECIMALS, MAX_MONEY

MAX_PATTERNS = 2_000
# Of a remembered record's names, and their characters: no file fills the memory with them.
_MOST_NAMES, _MOST_CHARACTERS = 150, 4_000

# By the names of the fields, in their order, and the types of their values.
_patterns: dict[tuple[tuple[str, ...], tuple[type, ...]], _Pattern] = {}


def patterned_changes(raw: Any) -> dict[str, Any] | None:
    """Return how what the mirror keeps differs from a record of JSON.

    What a record shares with others is decided once; of its own there are a few texts and numbers. To look at each
    field by itself takes three times as long.

    Returns:
        Value by field, LEFT_OUT for a field that it has not; None where the record may be refused, or has a pattern
        that is not remembered.
    """
    if raw.__class__ is not dict:
        return None
    values = tuple(raw.values())
    key = tuple(raw), tuple(map(type, values))
    pattern = _patterns.get(key)
    if pattern is None:
        if len(raw) > _MOST_NAMES or sum(map(len, raw)) > _MOST_CHARACTERS:
            return None
        if len(_patterns) >= MAX_PATTERNS:
            _patterns.clear()  # of a file with ever new ones; the next one has few again
        pattern = _patterns[key] = _Pattern(*key)
    return pattern.changes(values)


class _Pattern:
    def __init__(self, names: Sequence[str], types: Sequence[type]) -> None:
        self._constant: dict[str, Any] = {}
        self._free: list[tuple[int, Cast]] = []
        self._checked: list[tuple[int, Callable[[Any], bool]]] = []
        self._others: list[tuple[int, Cast]] = []
        recurring: list[tuple[int, Cast]] = []
        places = {name: place for place, name in enumerate(names)}
        for cast in CASTS:
            place = places.get(cast.name)
            kind = NoneType if place is None else types[place]
            if kind is NoneType:
                cast.put_default(self._constant, is_null=place is not None)
            elif place is None or (kind is bool and cast.kind is Kind.FLAG):
                pass
            elif kind is str and cast.plain:
                self._free.append((place, cast))
            elif kind is str and cast.recurs:
                recurring.append((place, cast))
            elif stays := _CHECKS.get((cast.name if kind is str else cast.kind, kind)):
                self._checked.append((place, stays))
            else:
                self._others.append((place, cast))
        self._casts = [cast for _, cast in recurring]
        self._known = [cast.stays for _, cast in recurring]
        self._pick = _picked([place for place, _ in recurring])

    def changes(self, values: Sequence[Any]) -> dict[str, Any] | None:
        """Return the changes of a record; None where a value is refused."""
        changes = self._constant.copy()
        texts = self._pick(values)
        if not all(map(contains, self._known, texts)):
            for cast, text in zip(self._casts, texts, strict=True):
                if text not in cast.stays and cast.put(changes, text, textual=False):
                    return None
        for place, cast in self._free:
            text = values[place]
            if not (text and len(text) <= cast.plain) and cast.put(changes, text, textual=False):
                return None
        for place, stays in self._checked:
            if not stays(values[place]):
                return None
        for place, cast in self._others:
            if cast.put(changes, values[place], textual=False):
                return None
        return changes


def _stays_id(text: str) -> bool:
    """Return whether an id surely is in its form."""
    return text.isascii() and text.isprintable() and 0 < len(text.strip()) == len(text) <= MAX_ID


def _stays_money(number: Decimal) -> bool:
    """Return whether an amount is one, as a parser makes it: finite."""
    exponent = number.as_tuple().exponent
    return 0 <= number < MAX_MONEY and isinstance(exponent, int) and exponent >= -MAX_DECIMALS


# Values that stay as they are where this says so, and are looked at by themselves otherwise.
_CHECKS: dict[tuple[str | Kind, type], Callable[[Any], bool]] = {
    ("pfaId", str): _stays_id,
    (Kind.MONEY, int): range(int(MAX_MONEY)).__contains__,
    (Kind.MONEY, Decimal): _stays_money,
}


def _picked(places: Sequence[int]) -> Any:
    """Return what picks the values of some places as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    # Of one place it returns the value itself.
    return lambda values: tuple(values[place] for place in places)
