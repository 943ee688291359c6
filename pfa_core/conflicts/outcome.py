"""Outcomes of resolutions: resolved conflicts, reasons why others stay open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfa_core.conflicts.decide import Refusal, Refused, Settled
from pfa_core.errors import BaselineConflict, Fault, GuardExcess, InvalidData, InvalidRequest
from pfa_core.masking import Mask
from pfa_core.model.decision import ConflictResolution
from pfa_core.model.ids import ConflictId, ModificationId, PfaId
from pfa_core.model.modification import State


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedConflict:
    """A conflict after its resolution.

    The modification is committed again, or, without a field left, deleted: `state` is pristine then and
    `version` None.
    """

    conflict_id: ConflictId
    pfa_id: PfaId
    modification_id: ModificationId
    resolution: ConflictResolution
    state: State
    version: int | None
    delta: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveResult:
    """The resolved conflicts, in PFA id order.

    `problems`: why others stay open (only with `partial`). Where `masked`, money is None in the deltas
    and numbers are hidden in the problems. `overridden`: the limits that what is committed again was over.
    `suspended`: the organization exchanges nothing with PEMS, so that no push sends it.
    """

    resolved: list[ResolvedConflict]
    problems: list[Fault]
    masked: bool = False
    overridden: list[GuardExcess] = field(default_factory=list)
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision makes of the conflicts of one call, in PFA id order."""

    items: Sequence[Settled | Refused]

    @property
    def settled(self) -> list[Settled]:
        """Return the resolved ones."""
        return [item for item in self.items if isinstance(item, Settled)]

    @property
    def refused(self) -> list[Refused]:
        """Return those that stay open."""
        return [item for item in self.items if isinstance(item, Refused)]

    def refused_as(self, why: Refusal) -> list[ConflictId]:
        """Return the conflicts that stay open for one reason."""
        return [item.conflict_id for item in self.refused if item.why is why]

    def fields(self) -> list[str]:
        """Return the fields that are committed again."""
        return sorted({name for item in self.settled for name in item.left.delta})

    def faults(self) -> list[Fault]:
        """Return why conflicts stay open."""
        return [fault for item in self.refused for fault in item.faults]

    def result(self, mask: Mask) -> ResolveResult:
        """Return the result for the caller."""
        resolved = [_resolved(item, mask) for item in self.settled]
        problems = mask.faults(self.faults())
        return ResolveResult(resolved=resolved, problems=problems, masked=mask.hides)

    def require_all_settled(self, mask: Mask) -> None:
        """Refuse all conflicts because of some.

        Raises:
            BaselineConflict: PEMS changed again.
            InvalidRequest: A field has no answer.
            InvalidData: A record would break a rule.
        """
        if self.refused_as(Refusal.STALE):
            raise self._stale(mask)
        if self.refused_as(Refusal.UNANSWERED):
            raise self._unanswered(mask)
        if self.refused:
            raise InvalidData(
                f"{self._share(self.refused)} would break a rule, nothing was resolved",
                hint="give other values by `values`; resolve the others: `partial`",
                details=mask.faults(self.faults()),
            )

    def _stale(self, mask: Mask) -> BaselineConflict:
        stale = self.refused_as(Refusal.STALE)
        return BaselineConflict(
            f"PEMS changed again under {self._share(stale)}, nothing was resolved",
            hint=f"see its values: pfa conflict show {stale[0]}; resolve the others: `partial`",
            details=mask.faults(self.faults()),
        )

    def _unanswered(self, mask: Mask) -> InvalidRequest:
        unanswered = self.refused_as(Refusal.UNANSWERED)
        return InvalidRequest(
            f"fields of {self._share(unanswered)} have no answer, nothing was resolved",
            hint="answer each field by `fields` or `values`",
            details=mask.faults(self.faults()),
        )

    def _share(self, some: Sequence[object]) -> str:
        """Return `1 of 2 conflicts`."""
        number = len(self.items)
        return f"{len(some):,} of {number:,} conflict{'' if number == 1 else 's'}"


def _resolved(item: Settled, mask: Mask) -> ResolvedConflict:
    kept = bool(item.left.delta)
    return ResolvedConflict(
        conflict_id=item.resolution.conflict_id,
        pfa_id=item.row.pfa_id,
        modification_id=item.row.modification_id,
        resolution=item.resolution.resolution,
        state=State.COMMITTED if kept else State.PRISTINE,
        version=item.row.version + 1 if kept else None,
        delta=mask.values(item.left.delta),
    )
