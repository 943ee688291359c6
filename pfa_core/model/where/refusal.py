"""Refusals of an expression, with the place in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from pfa_core.errors import InvalidRequest
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.values import shorten

PARAMETER = "where"
_BEFORE, _AFTER = 40, 30  # characters shown beside the place
_CUT = "…"


def refusal(message: str, text: str, start: int, end: int, *, hint: str = "") -> InvalidRequest:
    """Build the refusal of a part of the expression, underlined in the hint."""
    shown = excerpt(text, start, end)
    return InvalidRequest(message, hint=f"{hint or 'look here'}:\n{shown}", parameter=PARAMETER)


def unknown_name(
    name: str, known: Iterable[str], text: str, start: int, end: int
) -> InvalidRequest:
    """Build the refusal of a name that is not a field, with the nearest one."""
    suggestion = did_you_mean(name, known)
    hint = "" if suggestion else "type: pfa fields"
    return refusal(f"unknown field: {shorten(name)}{suggestion}", text, start, end, hint=hint)


def excerpt(text: str, start: int, end: int) -> str:
    """Return the part of the expression around a place, and carets below the place.

    What a terminal cannot show in one cell is replaced by a blank, so that the carets stand below.
    """
    first, last = max(0, start - _BEFORE), min(len(text), max(end, start + 1) + _AFTER)
    before = (_CUT if first else "") + _on_one_line(text[first:start])
    at = _on_one_line(text[start : min(end, last)])
    after = _on_one_line(text[max(start, min(end, last)) : last]) + (
        _CUT if last < len(text) else ""
    )
    carets = "^" * max(1, _cells(at))
    return f"{before}{at}{after}".rstrip() + f"\n{' ' * _cells(before)}{carets}"


def _on_one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _cells(text: str) -> int:
    return sum(map(_cell, text))


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
