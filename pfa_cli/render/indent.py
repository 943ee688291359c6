"""Indentation of JSON that is written piece by piece."""

from __future__ import annotations

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+')
_CLOSING = {"{": "}", "[": "]"}


class Indenter:
    """Indents JSON by two blanks a level.

    A piece ends at the end of a token. An empty object or array stays on its line.
    """

    def __init__(self) -> None:
        """Begin outside of any value."""
        self._depth = 0
        self._opened = ""  # the bracket that was the last token, else ''

    def indented(self, piece: str) -> str:
        """Return the next piece, indented."""
        return "".join(map(self._word, _TOKEN.findall(piece)))

    def _word(self, word: str) -> str:
        opened, self._opened = self._opened, ""
        if word in ("}", "]"):
            self._depth -= 1
            return word if opened and _CLOSING[opened] == word else f"{self._line()}{word}"
        before = self._line() if opened else ""
        if word in ("{", "["):
            self._depth += 1
            self._opened = word
        elif word == ",":
            return f",{self._line()}"
        elif word == ":":
            return ": "
        return f"{before}{word}"

    def _line(self) -> str:
        return "\n" + "  " * self._depth
