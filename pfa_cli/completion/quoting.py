"""Words of a bash command line.

They are read up to the cursor, and written behind what readline keeps.
"""

from __future__ import annotations

from typing import NamedTuple

_BLANK, _QUOTES = " \t\n", "\"'"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,")
_IN_DOUBLE = frozenset('$`"\\')


class Typed(NamedTuple):
    """A line up to the cursor.

    Args:
        words: The words before the last one, without quotes.
        word: The last one, without quotes; empty behind a blank.
        kept: Its part that readline leaves as it is: it replaces what follows the last unquoted word break.
        quote: The quote that is open.
    """

    words: list[str]
    word: str
    kept: str
    quote: str


class _Scanner:
    """The words of a line, sign by sign."""

    def __init__(self, breaks: str) -> None:
        self.words: list[str] = []
        self.word = self.kept = self.quote = ""
        self._breaks = breaks
        self._begun = self._escaped = False

    def read(self, sign: str, following: str) -> None:
        if self._escaped:
            self._add(sign)
            self._escaped = False
        elif sign == "\\" and self.quote != "'":
            # In double quotes a backslash stays, but before what it protects there.
            self._escaped = self._begun = not self.quote or following in _IN_DOUBLE
            if not self._escaped:
                self._add(sign)
        elif self.quote:
            self._read_quoted(sign)
        else:
            self._read_bare(sign)

    def _read_quoted(self, sign: str) -> None:
        if sign == self.quote:
            self.quote, self.kept = "", self.word
        else:
            self._add(sign)

    def _read_bare(self, sign: str) -> None:
        if sign in _QUOTES:
            self.quote, self.kept, self._begun = sign, self.word, True
        elif sign in _BLANK:
            if self._begun:
                self.words.append(self.word)
            self.word, self.kept, self._begun = "", "", False
        else:
            self._add(sign)
            if sign in self._breaks:
                self.kept = self.word

    def _add(self, sign: str) -> None:
        self.word, self._begun = self.word + sign, True


def read_typed(line: str, breaks: str) -> Typed:
    """Split a line as bash does, at blanks that are not quoted.

    Args:
        breaks: The value of COMP_WORDBREAKS.
    """
    scanner = _Scanner(breaks)
    for place, sign in enumerate(line, 1):
        scanner.read(sign, line[place : place + 1])
    return Typed(scanner.words, scanner.word, scanner.kept, scanner.quote)


def replacement(candidate: str, typed: Typed) -> str:
    """Write a candidate as the text that readline puts behind what it keeps.

    Empty: it does not begin as that.
    """
    if not candidate.startswith(typed.kept):
        return ""
    rest = candidate[len(typed.kept) :]
    if typed.quote == "'":
        return rest.replace("'", "'\\''")
    if typed.quote:
        # History expansion takes an exclamation mark in double quotes too. Behind a quote readline adds none.
        text = "".join(
            f"\"'{sign}'\"" if sign == "!" else f"\\{sign}" if sign in _IN_DOUBLE else sign
            for sign in rest
        )
        return f'{text}"' if rest.endswith("!") else text
    return "".join(sign if sign in _PLAIN or not sign.isascii() else f"\\{sign}" for sign in rest)


def shrinks(found: list[str], typed: str) -> bool:
    """Tell whether readline would shorten what is typed.

    It replaces that by what all candidates have in common.
    """
    common = min(found, default="")
    longest = max(found, default="")
    length = next((n for n, sign in enumerate(common) if longest[n : n + 1] != sign), len(common))
    return length < len(typed)
