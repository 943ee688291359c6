"""A user's local operations on drafts, one transaction of the trail each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pfa_core.model.audit import Action
from pfa_core.model.ids import PfaId, SessionId


class OperationKind(StrEnum):
    """The kind of a local operation.

    SAVE: also set, shift and revert. REDO: an undo was taken back.
    """

    SAVE = "save"
    UNSET = "unset"
    DISCARD = "discard"
    RESTORE = "restore"
    COMMIT = "commit"
    UNCOMMIT = "uncommit"
    RESOLVE = "resolve"
    UNDO = "undo"
    REDO = "redo"


# Actions whose entries tell of local operations. A commit of which nothing was left has only entries `settle`.
LOCAL_ACTIONS = (
    *(Action.SAVE, Action.UNSET, Action.DISCARD, Action.RESTORE, Action.COMMIT),
    *(Action.SETTLE, Action.UNCOMMIT, Action.RESOLVE, Action.UNDO),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOperation:
    """A local operation of the caller.

    `operation`: the number of its link in the audit trail. `drafted`, `changed`, `ended`: in how many records
    a draft or committed change began, changed its content or state, and ended. `sessions`: the sessions of
    its drafts, at most three by name. `takes_back`: the operation that an undo or redo takes back.
    `undone`: it is taken back. `undoing`: what undoing it does, or why it cannot be undone.
    """

    operation: int
    kind: OperationKind
    at: datetime
    records: int
    drafted: int
    changed: int
    ended: int
    sessions: tuple[SessionId, ...]
    pfa_id: PfaId | None
    takes_back: int | None
    undone: bool
    undoing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A place in the order of the caller's operations.

    `number` is that of its link. `target`: the operation that an undo takes back. `again`: of a redo, the
    operation that the undo `target` had taken back.
    """

    number: int
    action: Action
    target: int | None = None
    again: int | None = None

    @property
    def kind(self) -> OperationKind:
        """Return the kind of operation that it is."""
        if self.action is Action.UNDO:
            return OperationKind.REDO if self.again is not None else OperationKind.UNDO
        return OperationKind.COMMIT if self.action is Action.SETTLE else OperationKind(self.action)


def undone(steps: Iterable[Step]) -> set[int]:
    """Return the numbers of the operations that are taken back.

    Args:
        steps: The caller's operations without a gap, the latest first.
    """
    taken_back: set[int] = set()
    for step in steps:
        if step.target is not None and step.number not in taken_back:
            taken_back.add(step.target)
    return taken_back


def last_to_undo(steps: Sequence[Step]) -> Step | None:
    """Return the last operation that is in effect, no undo itself.

    Args:
        steps: As in `undone`.
    """
    taken_back = undone(steps)
    return next(
        (one for one in steps if one.action is not Action.UNDO and one.number not in taken_back),
        None,
    )


def last_to_redo(steps: Sequence[Step]) -> Step | None:
    """Return the last undo that is in effect.

    Args:
        steps: As in `undone`.
    """
    taken_back = undone(steps)
    return next(
        (one for one in steps if one.kind is OperationKind.UNDO and one.number not in taken_back),
        None,
    )


def later_operation(of: Step, later: Iterable[Step]) -> int | None:
    """Return the number of the operation that has to be taken back before.

    None: the record is as this operation left it, what came later was taken back again.

    Args:
        of: The operation to take back.
        later: The operations on the record after it, in order.
    """
    own = [of.number] if of.kind is not OperationKind.UNDO else []
    above, below = list(own), list[int]()
    last = of.number
    for step in later:
        last = step.number
        if step.target is None:
            above.append(step.number)
        elif step.again is None:
            _take(step.target, above, below)
        elif below and below[-1] == step.again and not above:
            below.pop()
        else:
            above.append(step.again)
    if above == own and not below:
        return None
    return above[-1] if len(above) > len(own) else last


def _take(target: int, above: list[int], below: list[int]) -> None:
    """Move back over an operation: one from above, else one of before."""
    if above:
        above.pop()
    else:
        below.append(target)
