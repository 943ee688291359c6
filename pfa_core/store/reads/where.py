"""An expression as SQL over a table called r, with parameters.

It is composed from constants. Both tables have the caller's view in the same columns; PEMS's values and
the caller's changes are read from elsewhere in an overlay than in the mirror, so an expression is composed
for one of the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from pfa_core import sql
from pfa_core.model.query import Filters
from pfa_core.model.record import Field, Kind
from pfa_core.model.where.days import Day
from pfa_core.model.where.parser import parse
from pfa_core.model.where.tree import (
    And,
    Between,
    Compare,
    Contains,
    Equality,
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
    conjuncts,
)

_SQL = sql.statements("where")
_TYPES: dict[Kind, LiteralString] = {Kind.MONEY: "numeric", Kind.FLAG: "boolean"}
_TEXTS = (Kind.TEXT, Kind.CHOICE)


def composed(filters: Filters, *, overlay: bool) -> tuple[list[LiteralString], dict[str, Any]]:
    """Compose the parts of an expression that have to hold, and their parameters.

    Args:
        overlay: Over `pfa_overlay`, else over `pfa_mirror`, where the caller has no changes.
    """
    if not filters.where:
        return [], {}
    # The transaction authorizes filters and gives them its day: see `Tx.asked`.
    assert filters.today is not None, "filters with an expression were not authorized"  # noqa: S101
    composer = _Composer(date.fromisoformat(filters.today), overlay=overlay)
    parts: list[LiteralString] = [
        composer.expression(part) for part in conjuncts(parse(filters.where))
    ]
    return parts, composer.values


def equalities(filters: Filters) -> Iterator[Equality | None]:
    """Yield each part that has to hold as a field and the values it may equal.

    None stands for a part that is anything else. PEMS's value counts as the field's own only where no
    caller's changes are: parts about it are None.
    """
    for part in conjuncts(parse(filters.where)) if filters.where else ():
        yield _equality(part)


def _equality(part: Expression) -> Equality | None:
    match part:
        case Not(part=Compare(sign="=", left=Named(scope=Scope.MERGED, field=field), right=True)):
            return field, (False,)
        case In(left=Named(scope=Scope.MERGED, field=field), values=values):
            return field, values
        case Compare(sign="=", left=Named(scope=Scope.MERGED, field=field), right=right):
            return None if isinstance(right, Named) else (field, (right,))
        case _:
            return None


class _Composer:
    """The conditions of one expression; `values` are their parameters."""

    def __init__(self, today: date, *, overlay: bool) -> None:
        self._today = today
        self._overlay = overlay
        self.values: dict[str, Any] = {}

    def expression(self, tree: Expression) -> LiteralString:
        """Compose an expression that stays whole between AND and OR."""
        if isinstance(tree, And):
            return f"({' AND '.join(map(self.expression, tree.parts))})"
        if isinstance(tree, Or):
            return f"({' OR '.join(map(self.expression, tree.parts))})"
        if isinstance(tree, Not):
            return f"NOT ({self.expression(tree.part)})"
        if isinstance(tree, Is):
            return self._test(tree)
        column = self._column(tree.left)
        if isinstance(tree, Compare):
            return f"{column} {tree.sign} {self._operand(tree.right)}"
        if isinstance(tree, Between):
            return f"{column} BETWEEN {self._operand(tree.low)} AND {self._operand(tree.high)}"
        if isinstance(tree, In):
            return self._in(column, tree)
        return self._contains(column, tree)

    def _in(self, column: LiteralString, tree: In) -> LiteralString:
        if (
            len(tree.values) == 1
        ):  # an index keeps its order behind an equality, not behind an array
            return f"{column} = {self._operand(tree.values[0])}"
        return f"{column} = ANY({self._parameter(list(map(self._plain, tree.values)))})"

    def _contains(self, column: LiteralString, tree: Contains) -> LiteralString:
        text = self._parameter(tree.text)
        return f"strpos(pfa_fold_inline({column}), pfa_fold_inline({text})) > 0"

    def _test(self, tree: Is) -> LiteralString:
        field = tree.left.field
        if tree.test is Test.CHANGED:
            return f"r.delta ? '{field.name}'" if self._overlay else "false"
        column = self._column(tree.left)
        if tree.test is Test.MISSING and field.kind in _TEXTS:
            return f"coalesce({column}, '') = ''"
        return f"{column} IS NULL"

    def _operand(self, operand: Operand) -> LiteralString:
        if isinstance(operand, Named):
            return self._column(operand)
        if isinstance(operand, bool):
            return "true" if operand else "false"
        return self._parameter(self._plain(operand))

    def _plain(self, value: Value) -> str | Decimal | bool:
        return value.on(self._today).isoformat() if isinstance(value, Day) else value

    def _parameter(self, value: Any) -> LiteralString:
        number = sql.numeral(len(self.values))
        self.values[f"where_{number}"] = value
        return f"%(where_{number})s"

    def _column(self, named: Named) -> LiteralString:
        field = named.field
        if named.scope is Scope.MINE:
            return self._of_delta(field)
        if named.scope is Scope.PEMS and self._overlay:
            value = f"w.{field.column}" if field.column else _of_json("w.data", field)
            return _SQL["pems_value"].format(value=value)
        return f"r.{field.column}" if field.column else _of_json("r.data", field)

    def _of_delta(self, field: Field) -> LiteralString:
        if self._overlay:
            return _of_json("r.delta", field)
        return f"NULL::{_TYPES.get(field.kind, 'text')}"


def _of_json(column: LiteralString, field: Field) -> LiteralString:
    value: LiteralString = f"({column} ->> '{field.name}')"
    kind = _TYPES.get(field.kind)
    # The order of the code points, as the columns of texts have it.
    return f'({value} COLLATE "C")' if kind is None else f"{value}::{kind}"
