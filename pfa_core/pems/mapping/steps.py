"""Steps and chains of transforms, each with its inverse."""

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
    """An unknown transform, or invalid parameters of one."""


class Scope(Enum):
    """Name where a transform applies.

    VALUE: wherever the value is read. GRID: at the grid only, since it undoes how the grid writes a
    value. ROW: over the grid's whole row.
    """

    VALUE = "value"
    GRID = "grid"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Step:
    """One transform.

    Args:
        back: The inverse; None: not reversible, the field cannot be written.
        changes: The value itself changes, so that the inverse must be checked to be exact.
    """

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
        """Convert a value of PEMS; `cells` holds its row by alias."""
        value = text or self.default
        for step in self.steps:
            value = step.forward(value, cells)
        return value

    def read_value(self, text: str) -> str | None:
        """Convert one typed value of a service; None where the chain needs a whole row."""
        if any(step.scope is Scope.ROW for step in self.steps):
            return None
        value = text or self.default
        for step in self.steps:
            value = value if step.scope is Scope.GRID else step.forward(value, {})
        return value

    def write(self, text: str) -> str | None:
        """Return the value of PEMS that is read as that text, None where none is exactly."""
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
    def is_reversible(self) -> bool:
        """Return whether the field can be written at all."""
        return all(step.back is not None for step in self.steps)


def same(text: str) -> str:
    """Return the text: the inverse of a transform that only formats a value."""
    return text


def table_of(
    parameters: Any, required: tuple[str, ...], optional: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return parameters that are a table of known names.

    Raises:
        TransformFault: Another type, or missing or unknown names.
    """
    known = (*required, *optional)
    if not isinstance(parameters, Mapping) or not set(required) <= parameters.keys() <= set(known):
        raise TransformFault(f"needs a table of {', '.join(known)}")
    return parameters


def whole_of(value: Any) -> int:
    """Return a parameter that is a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise TransformFault("needs whole numbers from 0 to 1000000")
    return value


def text_of(value: Any) -> str:
    """Return a parameter as the text that the grid would hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if not isinstance(value, str):
        raise TransformFault("needs a text or a number")
    return value
