"""Options declared on a dataclass: each field is an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Base of a frozen dataclass whose fields are `Annotated` with their options.

    A command asks for a group by the type of a parameter: the group itself, or
    `Annotated[Result, Group]` where the group's `taken` returns something else.
    """

    def taken(self) -> Any:
        """Return what the command receives."""
        return self
