"""A place among the tokens of an expression."""

from __future__ import annotations

from pfa_core.errors import InvalidRequest
from pfa_core.model.record import FIELDS
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.values import shorten
from pfa_core.model.where.refusal import refusal
from pfa_core.model.where.tokens import Form, Token, tokens


class Cursor:
    """The tokens of an expression, taken one by one, and refusals of the next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._place = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += token.form is not Form.END
        return token

    def _took(self, *words: str) -> bool:
        """Take the next token if it is one of these words."""
        found = self._next.is_word(*words)
        self._place += found
        return found

    def _wrong(
        self,
        message: str,
        token: Token | None = None,
        *,
        quote: bool = False,
        near: tuple[str, ...] | list[str] = (),
    ) -> InvalidRequest:
        """Build the refusal of a token, the next one if none is given.

        Args:
            quote: It may belong to the value before it, which then needs quotes.
            near: Words that it may be a typo of.
        """
        at = token or self._next
        hint, before = "", self._tokens[self._place - 1]
        if at.form is Form.END and message.startswith("expected"):
            message += ", but the expression ends"
        elif at.form is not Form.END and message.startswith("expected"):
            message += f"; found {shorten(self._text[at.start : at.end])}"
        if at.form is Form.WORD and near:
            message += did_you_mean(at.content, near)
        if quote and at.form is Form.WORD and before.form is Form.WORD and _is_value(before):
            hint = f"a value with blanks is written in quotes, '{before.content} {at.content}'"
        if quote and at.is_sign(","):
            hint = "decimals follow a point, thousands have no separator, a text with commas has quotes"
        return refusal(message, self._text, at.start, at.end, hint=hint)


def _is_value(token: Token) -> bool:
    """Return whether a word may begin a value: no field, no test of one."""
    return not token.is_word("null", "missing", "changed") and (
        token.content.rpartition(".")[2] not in FIELDS
    )
