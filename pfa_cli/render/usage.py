"""Refusals of the option parser in the words of the program."""

from __future__ import annotations

import re

_OF_OPTION = re.compile(
    r"Invalid value for '?(?P<option>[^':]+)'?(?: / '[^']+')*: (?P<why>.+)", re.DOTALL
)
_WORDS = (
    (re.compile(r"is not a valid (?:int|integer)(?: range)?$"), "is not a whole number"),
    (re.compile(r"is not a valid float(?: range)?$"), "is not a number"),
    (re.compile(r"is not in the range (\S+?)<=x<=(\S+)$"), r"is not from \1 to \2"),
    (re.compile(r"is not in the range x>=(\S+)$"), r"is less than \1"),
    (re.compile(r"is not in the range x<=(\S+)$"), r"is more than \1"),
)


def in_our_words(message: str) -> str:
    """Rewrite a refusal of the parser: the option, its value, what it has to be."""
    message = message.rstrip(".")
    found = _OF_OPTION.fullmatch(message)
    if not found:
        return message[:1].lower() + message[1:]
    why = found["why"].rstrip(".")
    for pattern, words in _WORDS:
        why = pattern.sub(words, why)
    return f"invalid {found['option']}: {why}"
