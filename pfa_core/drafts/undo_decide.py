"""The decision what an undo does with each modification, without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from pfa_core.drafts.before import PART
from pfa_core.errors import Fault, FaultCode
from pfa_core.model import shell
from pfa_core.model.audit import Action
from pfa_core.model.delta import Delta, Record, over_own_sends, same
from pfa_core.model.ids import PfaId
from pfa_core.model.modification import State
from pfa_core.store.operations import EntryContent, HeldRow

NOW = "now"  # in `was` of an entry of an undo: the state that it made


class Why(IntEnum):
    """The reason why something cannot be taken back.

    The first of several gives the hint.
    """

    SENT = 1
    IN_FLIGHT = 2
    NOT_TAKEN = 3
    CONFLICT = 4
    SETTLED = 5
    LATER = 6
    CHANGED = 7
    OLDER = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry cannot be taken back, and what to type.

    `later`: the number of the operation that has to be taken back before.
    """

    why: Why
    fault: Fault
    hint: str
    later: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A modification as it was before the operation."""

    state: State
    session_id: str
    delta: dict[str, Any]
    base: dict[str, Any]
    change_reason: str | None
    was: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of a modification.

    It goes from its row (None: there is none) to what is wanted (None: deleted). `part`: another entry of
    the operation says what becomes of the modification.
    """

    entry: EntryContent
    row: HeldRow | None
    wanted: Wanted | None
    part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a record is like for the caller.

    `sends`: deltas that PEMS took of the caller's since the operation. `in_pems`: the entry's modification is
    in PEMS already.
    """

    stack: Sequence[HeldRow]
    data: Record
    sends: Sequence[Delta] = field(default=())
    in_pems: bool = False


def decide(entry: EntryContent, now: Situation) -> Move | Refusal:
    """Return the move that takes an entry back, or why there is none."""
    row = next((r for r in now.stack if r.modification_id == entry.modification_id), None)
    if entry.was and PART in entry.was:
        return Move(entry, row, None, part=True)
    refused = _moved_on(entry, row, now)
    if refused:
        return refused
    if entry.before is None:
        return Move(entry, row, None)
    if entry.was is None and entry.action is not Action.COMMIT:
        return _refuse(
            entry, Why.OLDER, "was changed by an earlier version of pfa, which kept too little", ""
        )
    return Move(entry, row, _wanted(entry, entry.before, row, now))


def _moved_on(entry: EntryContent, row: HeldRow | None, now: Situation) -> Refusal | None:
    """Return why a modification is not as the operation left it."""
    if entry.after is None:
        if row is None and not any(one.state is State.DRAFT for one in now.stack):
            return None
        hint = shell.command("pfa show", [entry.pfa_id])
        return _refuse(entry, Why.CHANGED, "has another draft by now", hint)
    if row is None:
        if now.in_pems:
            return _refuse(entry, Why.SENT, "is in PEMS already", _revert(entry))
        return _refuse(entry, Why.CHANGED, "is gone", _log(entry))
    if not _is_as_left(entry, row):
        return _elsewhere(entry, row)
    if not same(row.delta, entry.after):
        return _refuse(entry, Why.CHANGED, "was changed since", _log(entry))
    return None


def _is_as_left(entry: EntryContent, row: HeldRow) -> bool:
    """Return whether a modification has the state that the operation left.

    What it committed has it still where PEMS surely did not take it.
    """
    expected = _left(entry)
    if expected is not State.COMMITTED:
        return row.state is expected
    if row.state is State.COMMITTED:
        return not (row.attempts or row.sent)
    return row.state is State.SYNC_ERROR and not row.sent


def _left(entry: EntryContent) -> State:
    """Return the state in which the operation left a modification."""
    if entry.action is Action.UNDO and entry.was:
        return State(entry.was.get(NOW, State.DRAFT))
    return State.COMMITTED if entry.action is Action.COMMIT else State.DRAFT


def _elsewhere(entry: EntryContent, row: HeldRow) -> Refusal:
    match row.state:
        case State.SYNCING:
            hint = "pfa sync runs, and when the push has ended: " + _revert(entry)
            return _refuse(entry, Why.IN_FLIGHT, "is held by a push", hint)
        case State.CONFLICT:
            hint = shell.command("pfa conflict show", [entry.pfa_id])
            return _refuse(entry, Why.CONFLICT, "is in conflict with PEMS", hint)
        case State.SYNC_ERROR if not row.sent:
            hint = f"pfa uncommit --id {_id(entry)}"
            return _refuse(entry, Why.NOT_TAKEN, "was not taken by PEMS", hint)
        case State.SYNC_ERROR | State.COMMITTED if row.attempts or row.sent:
            hint = "pfa sync push, which settles it, then: " + _revert(entry)
            return _refuse(entry, Why.IN_FLIGHT, "was sent to PEMS already or may have been", hint)
        case _:
            return _refuse(entry, Why.CHANGED, f"is {row.state} by now", _log(entry))


def _wanted(
    entry: EntryContent, delta: dict[str, Any], row: HeldRow | None, now: Situation
) -> Wanted:
    was = entry.was or {}
    # Of a modification that stays, the entry keeps only what the operation changed.
    session = was.get("session_id") or (row.session_id if row else entry.session_id)
    known = row.change_reason if row else entry.reason
    return Wanted(
        state=State(was.get("state", State.DRAFT)),
        session_id=session,
        delta=delta,
        base=_base(entry, delta, row, now),
        change_reason=was.get("change_reason", known),
        was=was,
    )


def _base(entry: EntryContent, delta: Delta, row: HeldRow | None, now: Situation) -> dict[str, Any]:
    """Return what the values were made over.

    The row's own values are the more recent ones.
    """
    kept = over_own_sends(entry.base or {}, now.data, now.sends)
    present = row.base if row else {}
    if entry.action in (Action.COMMIT, Action.UNCOMMIT):
        return dict(present)
    if entry.action is Action.UNDO:
        return {name: present.get(name, value) for name, value in kept.items()}
    return {**{name: value for name, value in present.items() if name in delta}, **kept}


def later_refusal(entry: EntryContent, number: int, *, settled: bool) -> Refusal:
    """Return the refusal because of a later operation on the record."""
    if settled:
        hint = f"pfa uncommit --id {_id(entry)}, while nothing was sent"
        return _refuse(entry, Why.SETTLED, f"a conflict of it was settled since ({number})", hint)
    refusal = _refuse(
        entry, Why.LATER, f"operation {number} changed it since", f"pfa undo {number}"
    )
    return replace(refusal, later=number)


def _refuse(entry: EntryContent, why: Why, message: str, hint: str) -> Refusal:
    fault = Fault(entry.pfa_id, "", FaultCode.ILLEGAL_TRANSITION, message)
    return Refusal(why, fault, f"type: {hint}" if hint else "")


def _id(entry: EntryContent) -> str:
    return shell.word(entry.pfa_id)


def _log(entry: EntryContent) -> str:
    return shell.command("pfa log", [entry.pfa_id])


def _revert(entry: EntryContent) -> str:
    return f"pfa revert --session {shell.word(entry.session_id)}"


def written_fields(moves: Iterable[Move]) -> dict[str, None]:
    """Return the fields that moves write other values of."""
    names: dict[str, None] = {}
    for move in moves:
        if move.wanted is None:
            continue
        old = move.row.delta if move.row else {}
        states = move.row is not None and move.wanted.state is State.DRAFT
        names.update(
            dict.fromkeys(
                name
                for name, value in move.wanted.delta.items()
                if not states or name not in old or not same(old[name], value)
            )
        )
    return names


def after_moves(stack: Sequence[HeldRow], moves: Mapping[str, Move]) -> list[Mapping[str, Any]]:
    """Return a record's deltas after moves by modification id, in their order."""
    deltas: list[Mapping[str, Any]] = []
    for row in stack:
        move = moves.get(row.modification_id)
        if move is None or move.part:
            deltas.append(row.delta)
        elif move.wanted:
            deltas.append(move.wanted.delta)
    deltas += [m.wanted.delta for m in moves.values() if m.row is None and m.wanted]
    return deltas


def records_of(moves: Iterable[Move]) -> dict[PfaId, dict[str, Move]]:
    """Group moves by record and modification, without those of parts."""
    found: dict[PfaId, dict[str, Move]] = {}
    for move in moves:
        if not move.part:
            found.setdefault(move.entry.pfa_id, {})[move.entry.modification_id] = move
    return found
