"""The typed syntax tree of an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import LiteralString

from pfa_core.model.record import Field
from pfa_core.model.where.days import Day

Value = str | Decimal | bool | Day


class Scope(Enum):
    """The source of a field's value: merged, PEMS's, the caller's changes."""

    MERGED = ""
    PEMS = "pems"
    MINE = "mine"


@dataclass(frozen=True, slots=True)
class Named:
    """A field as the caller sees it, as PEMS has it, or as the caller changed it."""

    scope: Scope
    field: Field


Operand = Named | Value


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison; `sign` is one of = <> < <= > >=."""

    sign: LiteralString
    left: Named
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """A range with both of its ends."""

    left: Named
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """Equality with one of several values."""

    left: Named
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """A text contained in another, whatever the case."""

    left: Named
    text: str


class Test(Enum):
    """A test of a field without another value; each is true or false, never unknown."""

    NULL = "null"
    MISSING = "missing"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Is:
    """A test of a field."""

    left: Named
    test: Test


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of an expression; that of unknown is unknown."""

    part: Expression


@dataclass(frozen=True, slots=True)
class And:
    """Expressions of which all hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Expressions of which one holds."""

    parts: tuple[Expression, ...]


Equality = tuple[Field, tuple[Value, ...]]
Predicate = Compare | Between | In | Contains | Is
Expression = Predicate | Not | And | Or


def conjuncts(tree: Expression) -> Iterator[Expression]:
    """Yield the parts that all have to hold."""
    if isinstance(tree, And):
        for part in tree.parts:
            yield from conjuncts(part)
    else:
        yield tree


def predicates(tree: Expression) -> Iterator[Predicate]:
    """Yield the predicates, from left to right."""
    if isinstance(tree, Not):
        yield from predicates(tree.part)
    elif isinstance(tree, And | Or):
        for part in tree.parts:
            yield from predicates(part)
    else:
        yield tree


def names(tree: Expression) -> Iterator[Named]:
    """Yield the fields that the expression names, as often as it does."""
    for one in predicates(tree):
        yield one.left
        others = {Compare: ("right",), Between: ("low", "high")}.get(type(one), ())
        for other in others:
            operand = getattr(one, other)
            if isinstance(operand, Named):
                yield operand


def looked_at(tree: Expression) -> list[str]:
    """List the fields whose change by the caller can change which records match.

    PEMS's own value is the same with and without a draft.
    """
    found = (named.field.name for named in names(tree) if named.scope is not Scope.PEMS)
    return list(dict.fromkeys(found))


def field_names(tree: Expression) -> list[str]:
    """List the fields that the expression names, in any scope."""
    return list(dict.fromkeys(named.field.name for named in names(tree)))
