"""The frame of transforms: a step there and back, and the chain that a field's value goes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

Cells = Mapping[str, str]
Forward = Callable[[str, Cells], str]
Backward = Callable[[str], str]


class TransformFault(ValueError):
    """A transform that is none, or parameters that it does not have."""


class Scope(Enum):
    """Where a transform belongs: wherever the value is read; at the grid only, since it undoes how
    the grid writes a value; or over the grid's whole row."""

    VALUE = "value"
    GRID = "grid"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Step:
    """One transform. `back` None: there is no way back, the field cannot be written; `changes`: the
    value itself changes, so the way back must lead here again exactly."""

    forward: Forward
    back: Backward | None = None
    changes: bool = False
    scope: Scope = Scope.VALUE


@dataclass(frozen=True, slots=True)
class Chain:
    """A field's default and steps, in order."""

    steps: tuple[Step, ...] = ()
    default: str = ""

    def read(self, text: str, cells: Cells) -> str:
        """What a value of PEMS means to us; `cells` holds its row by alias."""
        value = text or self.default
        for step in self.steps:
            value = step.forward(value, cells)
        return value

    def read_value(self, text: str) -> str | None:
        """As `read`, for a service that tells one typed value; None where it takes a whole row."""
        if any(step.scope is Scope.ROW for step in self.steps):
            return None
        value = text or self.default
        for step in self.steps:
            value = value if step.scope is Scope.GRID else step.forward(value, {})
        return value

    def write(self, text: str) -> str | None:
        """What PEMS must hold for us to read that text, None where nothing does exactly."""
        value = text
        for step in reversed(self.steps):
            if step.back is None:
                return None
            before = step.back(value)
            if step.changes and step.forward(before, {}) != value:
                return None
            value = before
        return value

    @property
    def has_way_back(self) -> bool:
        """Whether the field can be written at all."""
        return all(step.back is not None for step in self.steps)


def same(text: str) -> str:
    """The way back of a transform that changes only how a value is written."""
    return text


def table_of(
    parameters: Any, required: tuple[str, ...], optional: tuple[str, ...]
) -> Mapping[str, Any]:
    """Parameters that are a table of known names."""
    known = (*required, *optional)
    if not isinstance(parameters, Mapping) or not set(required) <= parameters.keys() <= set(known):
        raise TransformFault(f"wants a table of {', '.join(known)}")
    return parameters


def whole_of(value: Any) -> int:
    """A parameter that is a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise TransformFault("wants whole numbers from 0 to 1000000")
    return value


def text_of(value: Any) -> str:
    """A parameter as the text that the grid would hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if not isinstance(value, str):
        raise TransformFault("wants a text or a number")
    return value
