"""Decisions evaluated on open conflicts against the current mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.decision import Answer, ConflictResolution, Decision
from pfa_core.model.delta import FieldConflict, check, same, three_way
from pfa_core.model.ids import ConflictId
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.store.conflicts import ConflictRow, Recommitment, Resolution
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import ModificationRow

# By field: how it is answered, the value that it takes.
Answers = Mapping[str, tuple[Answer, Any]]


@dataclass(frozen=True, slots=True)
class Settled:
    """A resolved conflict, as it is stored."""

    row: ModificationRow
    resolution: Resolution
    left: Recommitment


class Refusal(StrEnum):
    """Why a conflict stays open; of several reasons the first is reported."""

    STALE = "stale"  # PEMS changed again since the conflict was recorded
    UNANSWERED = "unanswered"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Refused:
    """A conflict that stays open."""

    conflict_id: ConflictId
    why: Refusal
    faults: list[Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConflict:
    """An open conflict with its modification and its record as they are now.

    `underlying` is the record without the modification: the baseline with the user's earlier ones.
    Fields that have an owner are left to the next push.
    """

    conflict: ConflictRow
    row: ModificationRow
    mirror: MirrorRow
    underlying: Mapping[str, Any]
    ownership: Ownership

    def fields(self) -> list[FieldConflict]:
        """Return the recorded fields with current values, then those in conflict since."""
        base, delta, pems = self.row.base, self.row.delta, self.mirror.data
        recorded = {
            item.field: FieldConflict(
                item.field,
                base.get(item.field),
                delta.get(item.field, item.mine),
                pems.get(item.field),
            )
            for item in self.conflict.disputed
        }
        fresh = self.ownership.split(three_way(base, delta, pems))[Owner.ASK]
        return [*recorded.values(), *(item for item in fresh if item.field not in recorded)]

    def decide(self, decision: Decision) -> Settled | Refused:
        """Evaluate a decision against the current mirror."""
        fields = self.fields()
        if stale := self._stale(fields):
            return self._refused(Refusal.STALE, stale)
        if faults := [*self._unanswered(fields, decision), *self._unrelated(fields, decision)]:
            return self._refused(Refusal.UNANSWERED, faults)
        settled = self._settled(self._answers(fields, decision))
        if faults := check(self.row.pfa_id, self.underlying, settled.left.delta):
            return self._refused(Refusal.INVALID, faults)
        return settled

    def _stale(self, fields: Sequence[FieldConflict]) -> list[Fault]:
        seen = {item.field: item.pems for item in self.conflict.disputed}
        return [
            self._fault(item, f"PEMS has {_shown(item.pems)} now{_before(item.field, seen)}")
            for item in fields
            if item.field not in seen
            or not (same(item.pems, seen[item.field]) or same(item.pems, item.mine))
        ]

    def _unanswered(self, fields: Sequence[FieldConflict], decision: Decision) -> list[Fault]:
        return [
            self._fault(
                item,
                f"was {_shown(item.base)}, PEMS has {_shown(item.pems)},"
                f" mine is {_shown(item.mine)}; choose one",
            )
            for item in fields
            if decision.answer(item.field) is None
        ]

    def _unrelated(self, fields: Sequence[FieldConflict], decision: Decision) -> list[Fault]:
        known = {item.field for item in fields} | self.row.delta.keys()
        reason = "neither in conflict nor changed by this modification; draft it instead"
        return [
            Fault(self.row.pfa_id, name, FaultCode.ILLEGAL_TRANSITION, reason)
            for name in decision.values
            if name not in known
        ]

    def _settled(self, answers: Answers) -> Settled:
        settlement = {
            name: {"take": answer.value, "value": value}
            for name, (answer, value) in answers.items()
        }
        resolution = Resolution(self.conflict.conflict_id, _resolution(answers), settlement)
        return Settled(self.row, resolution, self._left(answers))

    def _left(self, answers: Answers) -> Recommitment:
        """Return what is committed again: the delta over the current values of PEMS."""
        pems = {name: self.mirror.data.get(name) for name in answers}
        base = {**self.row.base, **pems}
        delta = {**self.row.delta, **{name: value for name, (_, value) in answers.items()}}
        for name, (answer, _) in answers.items():
            if answer is Answer.PEMS:
                del delta[name]
        return Recommitment(
            modification_id=self.row.modification_id,
            version=self.row.version,
            delta=delta,
            base={name: base.get(name) for name in delta},
            base_version=self.mirror.version,
        )

    def _answers(self, fields: Sequence[FieldConflict], decision: Decision) -> Answers:
        """Return the answer of each field in question and the value it takes."""
        mine = {item.field: item.mine for item in fields}
        values = {Answer.MINE: mine, Answer.PEMS: self.mirror.data, Answer.SET: decision.values}
        return {
            name: (answer, values[answer].get(name))
            for name in dict.fromkeys((*mine, *decision.values))
            if (answer := decision.answer(name))
        }

    def _fault(self, item: FieldConflict, message: str) -> Fault:
        return Fault(self.row.pfa_id, item.field, FaultCode.BASELINE_CONFLICT, message)

    def _refused(self, why: Refusal, faults: list[Fault]) -> Refused:
        return Refused(self.conflict.conflict_id, why, faults)


def _resolution(answers: Answers) -> ConflictResolution:
    taken = {answer for answer, _ in answers.values()}
    if len(taken) != 1 or Answer.SET in taken:
        return ConflictResolution.MERGED
    return ConflictResolution(taken.pop().value)


def _before(name: str, seen: Mapping[str, Any]) -> str:
    return f", had {_shown(seen[name])} before" if name in seen else ", where mine differs too"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
