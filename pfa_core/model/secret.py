"""Secret texts."""

from __future__ import annotations

import re

# A JSON object in base64url begins with these letters.
_BEGIN = "eyJ"
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
# What a token can be a part of. Each is looked through once: _TOKEN searched for in "eyJeyJ…" would go to the end
# from each of its beginnings.
_RUN = re.compile(r"[A-Za-z0-9_.-]+")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Secret:
    """A text that repr, str and logs never show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"


def why_unsendable(text: str) -> str:
    """Return why a user name or password cannot be sent, empty when it can.

    RFC 7617, chapter 2: HTTP's basic authentication has no control characters.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    return "holds a line break or another control character" if _CONTROL.search(text) else ""


def looks_like_token(text: str) -> bool:
    """Return whether the text is a token, given where a file or an id belongs."""
    return bool(_TOKEN.match(text.strip()))


def masked(text: str) -> str:
    """Replace every token in the text, as a last protection of logs and terminals."""
    return _RUN.sub(_without_tokens, text) if _BEGIN in text else text


def _without_tokens(run: re.Match[str]) -> str:
    """Replace the tokens of one run.

    A token is the rest of a part from its beginning on, a part that is not empty, and one that may be.
    """
    parts, kept, place = run[0].split("."), list[str](), 0
    while place < len(parts):
        before, found, rest = parts[place].partition(_BEGIN)
        if found and rest and len(parts) > place + 2 and parts[place + 1]:
            kept.append(f"{before}eyJ…")
            place += 3
        else:
            kept.append(parts[place])
            place += 1
    return ".".join(kept)
