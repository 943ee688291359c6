"""Words, quoted texts and signs of an expression, with their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pfa_core.model.where.refusal import refusal

MAX_LENGTH = 20_000  # characters
_QUOTES = "'\""
_SINGLE_SIGNS = "(),"
_COMPARING = "=<>!"
COMPARISONS = ("=", "==", "!=", "<>", "<", "<=", ">", ">=")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}


class Form(Enum):
    """The form of a token."""

    WORD = "word"
    TEXT = "quoted text"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its place.

    `content` is what a quoted text says, without quotes and escapes.
    """

    form: Form
    content: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Return whether it is one of these words, unquoted, in any case."""
        return self.form is Form.WORD and self.content.lower() in words

    def is_sign(self, *signs: str) -> bool:
        """Return whether it is one of these signs."""
        return self.form is Form.SIGN and self.content in signs


def tokens(text: str) -> list[Token]:
    """Cut an expression into tokens; the last one is the end.

    Raises:
        InvalidRequest: Too long, a quote that is not closed, an unknown escape or sign.
    """
    if len(text) > MAX_LENGTH:
        message = f"the expression has {len(text):,} characters; at most {MAX_LENGTH:,}"
        raise refusal(message, text, MAX_LENGTH, MAX_LENGTH + 1)
    return [*_tokens(text), Token(Form.END, "", len(text), len(text))]


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        char = text[place]
        if char.isspace():
            place += 1
            continue
        if char in _QUOTES:
            token = _quoted(text, place)
        elif char in _SINGLE_SIGNS:
            token = Token(Form.SIGN, char, place, place + 1)
        elif char in _COMPARING:
            token = _comparison(text, place)
        else:
            token = _word(text, place)
        yield token
        place = token.end


def _word(text: str, start: int) -> Token:
    end = start
    while end < len(text) and not (text[end].isspace() or text[end] in "(),=<>!'\""):
        end += 1
    return Token(Form.WORD, text[start:end], start, end)


def _comparison(text: str, start: int) -> Token:
    end = start
    while end < len(text) and text[end] in _COMPARING:
        end += 1
    # The longest of the signs here: `a=!b` is refused as a whole, since `=!` is not one.
    if text[start:end] not in COMPARISONS:
        message = f"unknown comparison: {text[start : min(end, start + 10)]}"
        raise refusal(message, text, start, end, hint="comparisons are = != < <= > >=")
    return Token(Form.SIGN, text[start:end], start, end)


def _quoted(text: str, start: int) -> Token:
    quote, parts, place = text[start], list[str](), start + 1
    while place < len(text):
        char = text[place]
        if char == "\\":
            parts.append(_escaped(text, place))
            place += 2
        elif char != quote:
            parts.append(char)
            place += 1
        elif text[place + 1 : place + 2] == quote:  # doubled, as in SQL
            parts.append(quote)
            place += 2
        else:
            return Token(Form.TEXT, "".join(parts), start, place + 1)
    hint = "a text with an apostrophe is written in double quotes" if quote == "'" else ""
    raise refusal(f"a text is not closed by {quote}", text, start, start + 1, hint=hint)


def _escaped(text: str, place: int) -> str:
    escaped = text[place + 1 : place + 2]
    if escaped not in _ESCAPES:
        raise refusal(
            f"unknown escape: \\{escaped}",
            text,
            place,
            min(place + 2, len(text)),
            hint="in quotes a backslash is written \\\\",
        )
    return _ESCAPES[escaped]
