"""Comparisons from behind, `13000 < monthlyRate`: a value, then a field."""

from __future__ import annotations

from collections.abc import Sequence

from pfa_core.errors import InvalidRequest
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.where.refusal import refusal
from pfa_core.model.where.tokens import COMPARISONS, Form, Token
from pfa_core.model.where.tree import Scope

# The same comparison with its sides changed over.
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SCOPES = tuple(scope.value for scope in Scope)


def comparison_from_behind(text: str, rest: Sequence[Token]) -> InvalidRequest | None:
    """Build the refusal of one at the beginning of the rest.

    It says what to write instead. None where the rest begins with something else.
    """
    place = next((n for n, one in enumerate(rest) if one.form not in (Form.WORD, Form.TEXT)), 0)
    if not place or not rest[place].is_sign(*COMPARISONS):
        return None
    first, sign, field = rest[0], rest[place], rest[place + 1]
    if not _is_field(field) or _may_be_field(first) or (place > 1 and not _is_date(field)):
        return None
    value = text[first.start : rest[place - 1].end]
    instead = f"{field.content} {_TURNED.get(sign.content, sign.content)} {value}"
    return refusal(
        "a value before a field",
        text,
        first.start,
        field.end,
        hint=f"put the field first, write: {instead}",
    )


def _is_field(token: Token) -> bool:
    scope, _, name = token.content.rpartition(".")
    return token.form is Form.WORD and scope in _SCOPES and name in FIELDS


def _may_be_field(token: Token) -> bool:
    """Return whether a token is a field, or a word that a field was mistyped as."""
    word = token.form is Form.WORD
    return _is_field(token) or (word and bool(did_you_mean(token.content, FIELDS)))


def _is_date(token: Token) -> bool:
    return FIELDS[token.content.rpartition(".")[2]].kind is Kind.DATE
