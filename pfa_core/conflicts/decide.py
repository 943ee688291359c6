"""One open conflict held against today's mirror and a decision: is it settled, and how?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.decision import Answer, Decision
from pfa_core.model.delta import FieldConflict, check, same, three_way
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.store.conflicts import ConflictRow, Recommitment, Resolution
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import ModificationRow


@dataclass(frozen=True, slots=True)
class Settled:
    """A conflict that is answered, and what is stored of it."""

    row: ModificationRow
    resolution: Resolution
    left: Recommitment


class Refusal(StrEnum):
    """Why a conflict stays open; where several hold, the first is told."""

    MOVED = "moved"
    UNANSWERED = "unanswered"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Refused:
    """A conflict that stays open."""

    conflict_id: str
    why: Refusal
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Case:
    """An open conflict with all that is known of it today.

    `below` is the record without the modification: the baseline with the user's earlier ones.
    Fields that have an owner are left to the next push.
    """

    conflict: ConflictRow
    row: ModificationRow
    mirror: MirrorRow
    below: Mapping[str, Any]
    ownership: Ownership

    def today(self) -> list[FieldConflict]:
        """The recorded fields with today's values, and those that came into conflict since."""
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
        """What the decision makes of the conflict, or why it stays open."""
        today = self.today()
        if moved := self._moved(today):
            return self._refused(Refusal.MOVED, moved)
        if unanswered := [*self._unanswered(today, decision), *self._strange(today, decision)]:
            return self._refused(Refusal.UNANSWERED, unanswered)
        settled = self._settled(today, decision)
        if faults := check(self.row.pfa_id, self.below, settled.left.delta):
            return self._refused(Refusal.INVALID, faults)
        return settled

    def _moved(self, today: Sequence[FieldConflict]) -> list[Fault]:
        seen = {item.field: item.pems for item in self.conflict.disputed}
        return [
            self._fault(item, f"PEMS has {_shown(item.pems)} now{_before(item.field, seen)}")
            for item in today
            if item.field not in seen
            or not (same(item.pems, seen[item.field]) or same(item.pems, item.mine))
        ]

    def _unanswered(self, today: Sequence[FieldConflict], decision: Decision) -> list[Fault]:
        return [
            self._fault(
                item,
                f"was {_shown(item.base)}, PEMS has {_shown(item.pems)},"
                f" mine is {_shown(item.mine)}: which one?",
            )
            for item in today
            if decision.answer(item.field) is None
        ]

    def _strange(self, today: Sequence[FieldConflict], decision: Decision) -> list[Fault]:
        known = {item.field for item in today} | self.row.delta.keys()
        reason = "is neither in conflict nor changed by this modification: draft it instead"
        return [
            Fault(self.row.pfa_id, name, FaultCode.ILLEGAL_TRANSITION, reason)
            for name in decision.values
            if name not in known
        ]

    def _settled(self, today: Sequence[FieldConflict], decision: Decision) -> Settled:
        pems, mine = self.mirror.data, {item.field: item.mine for item in today}
        delta, base = dict(self.row.delta), dict(self.row.base)
        settlement: dict[str, dict[str, Any]] = {}
        for name in dict.fromkeys((*mine, *decision.values)):
            answer = decision.answer(name)
            value = pems.get(name)
            if answer is not Answer.PEMS:
                value = decision.values[name] if answer is Answer.SET else mine.get(name)
            settlement[name] = {"take": str(answer), "value": value}
            delta[name], base[name] = value, pems.get(name)
            if answer is Answer.PEMS:
                del delta[name]
        return Settled(
            self.row,
            Resolution(self.conflict.conflict_id, _in_a_word(settlement), settlement),
            Recommitment(
                self.row.modification_id,
                self.row.version,
                delta,
                {name: base.get(name) for name in delta},
                self.mirror.version,
            ),
        )

    def _fault(self, item: FieldConflict, message: str) -> Fault:
        return Fault(self.row.pfa_id, item.field, FaultCode.BASELINE_CONFLICT, message)

    def _refused(self, why: Refusal, faults: list[Fault]) -> Refused:
        return Refused(self.conflict.conflict_id, why, faults)


def _in_a_word(settlement: Mapping[str, Mapping[str, Any]]) -> str:
    answers = {item["take"] for item in settlement.values()}
    return "merged" if len(answers) != 1 or Answer.SET in answers else answers.pop()


def _before(name: str, seen: Mapping[str, Any]) -> str:
    return f", had {_shown(seen[name])} before" if name in seen else ", where mine differs too"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
