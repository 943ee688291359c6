"""Keys that look alike: texts that identify or group records, in one form."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# Invisible, but letters or marks to Unicode: the grapheme joiner, fillers, inherent vowels, separators.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_LINES = str.maketrans("\t\n\r", "   ")
# Characters of a text that a process remembers, be it a key or not: blanks around a value may be many more than it.
MAX_REMEMBERED_LENGTH = 1_000
_CATEGORIES = frozenset(("Cc", "Cf", "Zl", "Zp"))


def normal_key(text: str) -> str:
    """Return the form of a key: without blanks around it, NFC, every blank a space.

    What no reader can see is left in: `invisible_in` finds it. Of a text that is longer than any key in any of its
    forms only the blanks around it are removed.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    if len(text) <= MAX_REMEMBERED_LENGTH:
        return _normal(text)
    # NFC makes one character of four at most. The time that it takes grows with the square of the combining marks.
    stripped = text.strip()
    return _normal.__wrapped__(stripped) if len(stripped) <= MAX_REMEMBERED_LENGTH else stripped


def invisible_in(key: str, *, lines: bool = False) -> str:
    """Return the name of the first invisible character in a key, else empty.

    Args:
        lines: Whether tabs and line ends count as seen, as in a text that groups records.
    """
    if key.isascii() and key.isprintable():
        return ""
    shown = key.translate(_LINES) if lines else key
    is_long = len(key) > MAX_REMEMBERED_LENGTH
    return _first_invisible.__wrapped__(shown) if is_long else _first_invisible(shown)


@lru_cache(maxsize=20_000)  # keys recur, as the values of a million records do
def _normal(text: str) -> str:
    composed = unicodedata.normalize("NFC", text).strip()
    return "".join(" " if unicodedata.category(char) == "Zs" else char for char in composed)


@lru_cache(maxsize=20_000)
def _first_invisible(key: str) -> str:
    for char in key:
        if char in _INVISIBLE or unicodedata.category(char) in _CATEGORIES:
            name = unicodedata.name(char, "control character").lower()
            return f"U+{ord(char):04X} {name}"
    return ""
