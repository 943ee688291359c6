"""Texts that never show themselves."""

from __future__ import annotations

import re

# A JSON object in base64url begins with these letters.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class Secret:
    """A text that never shows itself: not in repr, not in str, not in a log."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"


def looks_like_token(text: str) -> bool:
    """Whether somebody gave a token itself where the name of its file belongs."""
    return bool(_TOKEN.match(text.strip()))


def masked(text: str) -> str:
    """The text with every token in it made unreadable: the last fence before a log or a terminal."""
    return _TOKEN.sub("eyJ…", text) if "eyJ" in text else text
