"""The parser of expressions, which checks the kinds of what is compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import LiteralString

from pfa_core.errors import InvalidRequest
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.where.cursor import Cursor
from pfa_core.model.where.days import is_step
from pfa_core.model.where.literals import read_literal, read_part
from pfa_core.model.where.refusal import PARAMETER, refusal, unknown_name
from pfa_core.model.where.reversed import comparison_from_behind
from pfa_core.model.where.tokens import COMPARISONS, Form, Token
from pfa_core.model.where.tree import (
    And,
    Between,
    Compare,
    Contains,
    Expression,
    In,
    Is,
    Named,
    Not,
    Operand,
    Or,
    Scope,
    Test,
    Value,
)

MAX_DEPTH = 50  # parentheses and `not` within one another
_SCOPES = {scope.value: scope for scope in Scope}
_TEXTS = (Kind.TEXT, Kind.CHOICE)
_SIGNS: dict[str, LiteralString] = {"==": "=", "!=": "<>", **{s: s for s in ("=", "<>")}}
_ORDERS: dict[str, LiteralString] = {s: s for s in ("<", "<=", ">", ">=")}
# Words of the language; as a value each is written in quotes.
_RESERVED = ("and", "or", "not", "in", "is", "between", "contains", "null")
_NEXT = "expected = != < <= > >=, between, in, contains or is"


@lru_cache(100)
def parse(text: str) -> Expression:
    """Parse an expression and check it against the field table.

    Raises:
        InvalidRequest: It cannot be read, or compares what cannot be compared; the hint has the place.
    """
    return _Parser(text).whole()


class _Parser(Cursor):
    """One reading of an expression, from left to right."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def whole(self) -> Expression:
        """Parse everything."""
        if self._next.form is Form.END:
            raise InvalidRequest(
                "the expression is empty",
                hint="write one, like: category = Crane; which fields there are: pfa fields",
                parameter=PARAMETER,
            )
        tree = self._any_of()
        if self._next.form is Form.END:
            return tree
        if self._next.is_sign(")"):
            raise self._wrong("a parenthesis is not opened")
        raise self._behind_a_predicate()

    def _any_of(self) -> Expression:
        parts = [self._all_of()]
        while self._took("or"):
            parts.append(self._all_of())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _all_of(self) -> Expression:
        parts = [self._one()]
        while self._took("and"):
            parts.append(self._one())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self) -> Expression:
        token = self._next
        if token.is_word("not"):
            return self._within(token, lambda: Not(self._one()))
        if token.is_sign("("):
            return self._within(token, self._in_parentheses)
        return self._predicate()

    def _within(self, token: Token, read: Callable[[], Expression]) -> Expression:
        if self._depth >= MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} parentheses and `not` within one another")
        self._take()
        self._depth += 1
        found = read()
        self._depth -= 1
        if token.is_sign("("):
            self._close(token)
        return found

    def _in_parentheses(self) -> Expression:
        found = self._any_of()
        if self._next.form is not Form.END and not self._next.is_sign(")"):
            raise self._behind_a_predicate()
        return found

    def _close(self, opened: Token) -> None:
        if not self._next.is_sign(")"):
            raise self._wrong("a parenthesis is not closed", opened)
        self._take()

    def _predicate(self) -> Expression:
        start = self._next
        left = self._field()
        if self._next.form is Form.SIGN and self._next.content in COMPARISONS:
            return self._comparison(left)
        turned = self._took("not")
        found = self._worded(left, start)
        if found is None and turned:
            raise self._wrong("expected between, in or contains behind not")
        if found is not None:
            return Not(found) if turned else found
        if left.field.kind is Kind.FLAG:
            return Compare("=", left, right=True)
        raise self._wrong(_NEXT, near=("between", "in", "contains", "is"))

    def _worded(self, left: Named, start: Token) -> Expression | None:
        if self._took("between"):
            return self._between(left, start)
        if self._took("in"):
            return self._in(left, start)
        if self._took("contains"):
            return self._contains(left, start)
        if not self._tokens[self._place - 1].is_word("not") and self._took("is"):
            turned = self._took("not")
            test = Is(left, self._test(left, start))
            return Not(test) if turned else test
        return None

    def _field(self) -> Named:
        token = self._next
        if reversed_ := comparison_from_behind(self._text, self._tokens[self._place :]):
            raise reversed_
        if token.form is not Form.WORD or token.is_word(*_RESERVED):
            raise self._wrong("expected a field")
        named = self._named(self._take())
        if named is None:
            raise self._unknown(token)
        return named

    def _named(self, token: Token) -> Named | None:
        """Return the field that a word names, None where it names none."""
        scope, _, name = token.content.rpartition(".")
        if scope not in _SCOPES:
            return None
        if name not in FIELDS:
            if scope:
                raise self._unknown(token)
            return None
        if scope == Scope.MINE.value:
            self._require_editable(FIELDS[name], token)
        return Named(_SCOPES[scope], FIELDS[name])

    def _require_editable(self, field: Field, token: Token) -> None:
        if not field.editable:
            raise self._wrong(f"{field.name} is not editable: no change of yours holds it", token)

    def _unknown(self, token: Token) -> InvalidRequest:
        scope, _, _ = token.content.rpartition(".")
        known = [f"{scope}.{field}" for field in FIELDS] if scope and scope in _SCOPES else FIELDS
        return unknown_name(token.content, known, self._text, token.start, token.end)

    def _comparison(self, left: Named) -> Expression:
        token = self._take()
        if left.field.kind in (Kind.FLAG, Kind.CHOICE) and token.content in _ORDERS:
            raise self._wrong(f"{left.field.name} has no order: compare it with = or !=", token)
        sign = _SIGNS.get(token.content) or _ORDERS[token.content]
        return Compare(sign, left, self._operand(left.field))

    def _between(self, left: Named, start: Token) -> Between:
        if left.field.kind in (Kind.FLAG, Kind.CHOICE):
            raise self._wrong(f"{left.field.name} has no order: it has no range", start)
        low = self._operand(left.field)
        if not self._took("and"):
            raise self._wrong("expected and: a range is written between … and …")
        return Between(left, low, self._operand(left.field))

    def _in(self, left: Named, start: Token) -> In:
        if left.field.kind is Kind.FLAG:
            raise self._wrong(f"{left.field.name} is true or false: it is in no list", start)
        opened = self._next
        if not opened.is_sign("("):
            raise self._wrong("expected ( behind in, then values with commas between them")
        self._take()
        values = [self._value(left.field)]
        while self._next.is_sign(","):
            self._take()
            values.append(self._value(left.field))
        if self._next.form is not Form.END and not self._next.is_sign(")"):
            raise self._wrong("expected , or ) here", quote=True)
        self._close(opened)
        return In(left, tuple(dict.fromkeys(values)))

    def _contains(self, left: Named, start: Token) -> Contains:
        if left.field.kind not in _TEXTS:
            raise self._wrong(f"{left.field.name} is not a text, it contains none", start)
        token = self._value_token()
        return Contains(left, read_part(left.field, token.content))

    def _test(self, left: Named, start: Token) -> Test:
        for test in Test:
            if test is Test.CHANGED and self._next.is_word(test.value):
                self._require_editable(left.field, start)
                if left.scope is Scope.PEMS:
                    raise self._wrong(f"write: {left.field.name} is changed", start)
            if self._took(test.value):
                return test
        raise self._wrong(
            "expected null, missing or changed behind is", near=[one.value for one in Test]
        )

    def _operand(self, field: Field) -> Operand:
        token = self._next
        named = self._named(token) if token.form is Form.WORD else None
        if named is None:
            return self._value(field)
        kinds = field.kind, named.field.kind
        if kinds[0] is not kinds[1] and not (kinds[0] in _TEXTS and kinds[1] in _TEXTS):
            hint = f"as a text write '{token.content}'" if field.kind in _TEXTS else ""
            message = f"{field.name} and {named.field.name} are not of one kind"
            raise refusal(message, self._text, token.start, token.end, hint=hint)
        self._take()
        return named

    def _value(self, field: Field) -> Value:
        token = self._value_token()
        words = [token]
        if token.form is Form.WORD and field.kind is Kind.DATE:
            while self._next.form is Form.WORD and (
                is_step(self._next.content) or words[-1].content[-1] in "+-"
            ):
                words.append(self._take())
        try:
            return read_literal(field, "".join(word.content for word in words))
        except ValueError as error:
            raise self._unreadable(field, token, words[-1].end, str(error)) from None

    def _unreadable(self, field: Field, token: Token, end: int, reason: str) -> InvalidRequest:
        near = did_you_mean(token.content, field.choices)
        if not near and token.form is Form.WORD and field.kind in (Kind.DATE, Kind.MONEY):
            near = did_you_mean(token.content, FIELDS)
        return refusal(f"{field.name} {reason}{near}", self._text, token.start, end)

    def _value_token(self) -> Token:
        token = self._next
        if token.is_word("null"):
            raise self._wrong("nothing equals null; write: is null, or is not null")
        if token.form in (Form.END, Form.SIGN):
            raise self._wrong("expected a value")
        if token.is_word(*_RESERVED):
            raise self._wrong(f"expected a value; as a text write '{token.content}'")
        if token.form is Form.WORD and self._named(token) is not None:
            raise self._wrong(f"expected a value, not a field; as a text write '{token.content}'")
        return self._take()

    def _behind_a_predicate(self) -> InvalidRequest:
        return self._wrong("expected and, or, or the end", quote=True, near=("and", "or"))
