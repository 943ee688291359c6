"""What is known of a user: drafts, operations, what was committed and discarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.trials.steps import Act


class Violation(AssertionError):
    """Something is not as it has to be."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft. `modification`: its id, empty where it is not known yet."""

    session: str
    delta: Mapping[str, Any]
    modification: str = field(default="", compare=False)


Drafts = Mapping[str, Draft]


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation changed: of each record the draft before and after, None for no draft."""

    drafts: Mapping[str, tuple[Draft | None, Draft | None]]

    @classmethod
    def between(cls, before: Drafts, after: Drafts) -> Change:
        """The change from one state to the other."""
        ids = sorted(before.keys() | after.keys())
        pairs = {pfa_id: (before.get(pfa_id), after.get(pfa_id)) for pfa_id in ids}
        return cls({pfa_id: pair for pfa_id, pair in pairs.items() if pair[0] != pair[1]})

    def applied(self, drafts: Drafts, *, back: bool) -> Drafts:
        """The drafts with the change undone, or done again."""
        found = dict(drafts)
        for pfa_id, (before, after) in self.drafts.items():
            wanted = before if back else after
            if wanted is None:
                found.pop(pfa_id, None)
            else:
                found[pfa_id] = wanted
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What is known of a user.

    Args:
        operations: In their order, what each changed; `undone` are the places of those taken back, in that order.
        discarded: By record the deltas that a restore may bring back.
        committed: By modification id the record and the draft that was committed.
    """

    drafts: Drafts = field(default_factory=dict)
    operations: tuple[Change, ...] = ()
    undone: tuple[int, ...] = ()
    discarded: Mapping[str, tuple[Draft, ...]] = field(default_factory=dict)
    committed: Mapping[str, tuple[str, Draft]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """An act and its exit code; None: it was not answered."""

    act: Act
    code: int | None


def shown(drafts: Drafts) -> str:
    """The drafts in one line."""
    items = (
        f"{i} {d.session} {dict(d.delta)} {d.modification[-6:]}" for i, d in sorted(drafts.items())
    )
    return "; ".join(items) or "none"
