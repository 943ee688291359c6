"""Drafts held against today's mirror before they are committed: what is still good of them?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from pfa_core.errors import BaselineConflict, Fault, FaultCode, InvalidData
from pfa_core.model.delta import FieldConflict, check, merge, same, three_way
from pfa_core.model.modification import State
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.model.principal import Principal
from pfa_core.store import mirror, modifications
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import ModificationRow


@dataclass(frozen=True, slots=True)
class RecordConflict:
    """A draft that PEMS moved under, and the fields in question."""

    pfa_id: str
    modification_id: str
    fields: tuple[FieldConflict, ...]


@dataclass
class Review:
    """What became of each draft: good ones with the delta to commit, settled ones that PEMS has
    wholly by now, conflicts, faults."""

    good: list[tuple[ModificationRow, dict[str, Any]]] = field(default_factory=list)
    settled: list[ModificationRow] = field(default_factory=list)
    conflicts: list[RecordConflict] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def problems(self) -> list[Fault]:
        """Why drafts stay behind: conflicts field by field, then faults."""
        in_conflict = [fault for conflict in self.conflicts for fault in _conflict_faults(conflict)]
        return in_conflict + self.faults

    def raise_if_bad(self, drafts: int) -> None:
        """Refuse all of the drafts when one of them is in conflict or faulty."""
        if self.conflicts:
            raise BaselineConflict(
                f"PEMS changed what {len(self.conflicts):,} of {drafts:,} drafts change too, nothing was committed",
                hint="keep PEMS's value: pfa draft unset ID FIELD; yours: unset it, then pfa draft set it again; "
                "commit the others: --partial",
                details=self.problems(),
            )
        if self.faults:
            raise InvalidData(
                f"{len(self.faults):,} of {drafts:,} drafts no longer fit the baseline, nothing was committed",
                details=self.faults,
            )


def review(
    conn: Connection[Any],
    principal: Principal,
    drafts: Sequence[ModificationRow],
    ownership: Ownership,
) -> Review:
    """Sort the drafts into good, settled, in conflict and faulty; their mirror rows stay locked.

    Fields that have an owner are in no conflict: PEMS's drop out, the user's stay.
    """
    if not drafts:
        return Review()
    ids = [draft.pfa_id for draft in drafts]
    rows = mirror.lock_records(conn, principal.organization_id, ids)
    earlier: dict[str, list[dict[str, Any]]] = {}
    for row in modifications.of_records(conn, principal, ids):
        if row.state != State.DRAFT:
            earlier.setdefault(row.pfa_id, []).append(row.delta)
    result = Review()
    for draft in drafts:
        below = earlier.get(draft.pfa_id, [])
        _review_draft(result, draft, rows[draft.pfa_id], below, ownership)
    return result


def _review_draft(
    review: Review,
    draft: ModificationRow,
    row: MirrorRow,
    earlier: Sequence[dict[str, Any]],
    ownership: Ownership,
) -> None:
    owners = ownership.split(three_way(draft.base, draft.delta, row.data))
    fields, theirs = owners[Owner.ASK], {item.field for item in owners[Owner.PEMS]}
    mine = draft.delta if earlier else _unsettled(draft, row)
    delta = {name: value for name, value in mine.items() if name not in theirs}
    faults = check(draft.pfa_id, merge(row.data, *earlier), delta)
    if fields:
        review.conflicts.append(RecordConflict(draft.pfa_id, draft.modification_id, tuple(fields)))
    elif faults:
        review.faults.extend(faults)
    elif not delta:
        review.settled.append(draft)
    else:
        review.good.append((draft, delta))


def _unsettled(draft: ModificationRow, row: MirrorRow) -> dict[str, Any]:
    """The delta without the fields that PEMS changed to the drafted value meanwhile."""
    return {
        name: value
        for name, value in draft.delta.items()
        if not same(row.data.get(name), value) or same(draft.base.get(name), value)
    }


def _conflict_faults(conflict: RecordConflict) -> list[Fault]:
    return [
        Fault(
            conflict.pfa_id,
            item.field,
            FaultCode.BASELINE_CONFLICT,
            f"was {_shown(item.base)}, PEMS has {_shown(item.pems)} now, you want {_shown(item.mine)}",
        )
        for item in conflict.fields
    ]


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
