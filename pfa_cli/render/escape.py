"""Escapes that keep terminals, lines and spreadsheets safe from the data."""

from __future__ import annotations

import re

# C0, DEL, C1, bidirectional controls and marks, line separators: a terminal acts on them, or shows the
# text in another order than it has.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
# Beyond ASCII, COPY has the bytes of UTF-8.
_COPY = str.maketrans({
    "\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\v": r"\v", "\f": r"\f",
    "\x1c": r"\x1c", "\x1d": r"\x1d", "\x1e": r"\x1e",
    "\x85": r"\xc2\x85", "\u2028": r"\xe2\x80\xa8", "\u2029": r"\xe2\x80\xa9",
})  # fmt: skip


def visible(text: str) -> str:
    r"""Write control characters as \n, \x1b, \u202e; safe on any terminal."""
    return _CONTROLS.sub(_escape, text)


def visible_json(text: str) -> str:
    """Escape control characters in JSON text without changing its meaning.

    JSON's grammar allows none outside of strings, so each of them is inside one.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def tsv_field(text: str) -> str:
    """Escape a field as PostgreSQL's COPY text format does, each kind of line end too."""
    return text.translate(_COPY)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
