"""Options declared on a dataclass: each field is an option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class OfView(NamedTuple):
    """What saved views give to options, once the command is at work.

    `within` narrows the filters of a view, by name, by others; `sort` is the order of the one that was named.
    """

    within: Callable[[str, Any], Any]
    sort: str | None


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Base of a frozen dataclass whose fields are `Annotated` with their options.

    A command asks for a group by the type of a parameter: the group itself, or
    `Annotated[Result, Group]` where the group's `taken` returns something else.
    """

    def taken(self) -> Any:
        """Return what the command receives."""
        return self

    def applied(self, taken: Any, view: OfView) -> Any:  # noqa: ARG002 - for those that name one
        """Return what `taken` has returned, with what a saved view adds to it."""
        return taken
