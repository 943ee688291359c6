"""Drafts rebased on the current mirror."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pfa_core.drafts.current import CurrentRecord
from pfa_core.errors import BaselineConflict, Fault, FaultCode, InvalidData
from pfa_core.model.delta import FieldConflict, check, same, three_way
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.ownership import Owner, Ownership
from pfa_core.operation import Tx
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import ModificationRow, by_record


@dataclass(frozen=True, slots=True)
class RecordConflict:
    """A draft whose fields PEMS changed too, and these fields."""

    pfa_id: PfaId
    modification_id: ModificationId
    fields: tuple[FieldConflict, ...]


@dataclass(frozen=True, slots=True)
class Valid:
    """A draft that can be committed, and the delta that is left to commit.

    `kept`: the fields that dropped out because PEMS owns them.
    """

    draft: ModificationRow
    delta: dict[str, Any]
    kept: tuple[FieldConflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """A draft of which nothing is left to commit.

    PEMS has its values; of the fields in `kept`, which PEMS owns, it has others.
    """

    draft: ModificationRow
    kept: tuple[FieldConflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Invalid:
    """A draft that breaks a rule on the current mirror."""

    faults: list[Fault]


Result = Valid | Settled | Invalid | RecordConflict


@dataclass(frozen=True, slots=True)
class Rebased:
    """The results of drafts, in their order."""

    results: Sequence[Result]

    @property
    def valid(self) -> list[Valid]:
        """Return the drafts that can be committed."""
        return [item for item in self.results if isinstance(item, Valid)]

    @property
    def settled(self) -> list[ModificationRow]:
        """Return the drafts of which nothing is left to commit."""
        return [item.draft for item in self.results if isinstance(item, Settled)]

    @property
    def kept(self) -> list[Valid | Settled]:
        """Return the drafts that lose fields to PEMS, which owns them."""
        return [item for item in self.results if isinstance(item, Valid | Settled) and item.kept]

    @property
    def conflicts(self) -> list[RecordConflict]:
        """Return the conflicts."""
        return [item for item in self.results if isinstance(item, RecordConflict)]

    def problems(self) -> list[Fault]:
        """Return why drafts stay behind: conflicts field by field, then broken rules."""
        in_conflict = [fault for item in self.conflicts for fault in _conflict_faults(item)]
        return in_conflict + self._broken_rules()

    def require_all_valid(self, drafts: int) -> None:
        """Refuse all of so many drafts because of some.

        Raises:
            BaselineConflict: A draft is in conflict.
            InvalidData: A draft breaks a rule.
        """
        if conflicts := self.conflicts:
            raise BaselineConflict(
                f"PEMS changed fields of {len(conflicts):,} of {drafts:,} drafts, nothing was"
                " committed",
                hint="keep PEMS's value: pfa draft unset ID FIELD; yours: unset it, then pfa draft"
                " set it again; commit the others: `partial`",
                details=self.problems(),
            )
        if invalid := self._invalid():
            raise InvalidData(
                f"{len(invalid):,} of {drafts:,} drafts are invalid on PEMS's current values,"
                " nothing was committed",
                details=self._broken_rules(),
            )

    def _invalid(self) -> list[Invalid]:
        return [item for item in self.results if isinstance(item, Invalid)]

    def _broken_rules(self) -> list[Fault]:
        return [fault for item in self._invalid() for fault in item.faults]


def rebase(tx: Tx, drafts: Sequence[ModificationRow], ownership: Ownership) -> Rebased:
    """Compare drafts with the current mirror, whose rows stay locked.

    Fields that have an owner are in no conflict: PEMS's drop out, the user's stay. What PEMS holds because
    of the user's own earlier changes, which it may have taken already, does not
    count as a change by PEMS.
    """
    if not drafts:
        return Rebased(())
    ids = [draft.pfa_id for draft in drafts]
    rows = mirror.lock_records(tx.conn, tx.organization_id, ids)
    found = modifications.of_records(tx.conn, tx.principal, ids)
    stacks = by_record(modifications.with_own_bases(found, rows))
    return Rebased(
        [
            _rebase(CurrentRecord(rows[draft.pfa_id], stacks[draft.pfa_id]), ownership)
            for draft in drafts
        ]
    )


def _rebase(current: CurrentRecord, ownership: Ownership) -> Result:
    draft, now = current.stack[-1], current.row.data
    owners = ownership.split(three_way(draft.base, draft.delta, now))
    if fields := owners[Owner.ASK]:
        pfa_id, modification_id = draft.pfa_id, draft.modification_id
        return RecordConflict(pfa_id, modification_id, tuple(fields))
    kept = tuple(owners[Owner.PEMS])
    theirs = {item.field for item in kept}
    only_modification = len(current.stack) == 1
    mine = _unsettled(draft, now) if only_modification else draft.delta
    delta = {name: value for name, value in mine.items() if name not in theirs}
    if faults := check(draft.pfa_id, current.without_draft(), delta):
        return Invalid(faults)
    return Valid(draft, delta, kept) if delta else Settled(draft, kept)


def _unsettled(draft: ModificationRow, now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the delta without fields that PEMS changed to the drafted value."""
    return {
        name: value
        for name, value in draft.delta.items()
        if not same(now.get(name), value) or same(draft.base.get(name), value)
    }


def _conflict_faults(conflict: RecordConflict) -> Iterable[Fault]:
    for item in conflict.fields:
        message = (
            f"was {shown_value(item.base)}, PEMS has {shown_value(item.pems)} now,"
            f" your draft has {shown_value(item.mine)}"
        )
        yield Fault(conflict.pfa_id, item.field, FaultCode.BASELINE_CONFLICT, message)


def shown_value(value: Any) -> str:
    """Show a value within a message."""
    return "nothing" if value is None else str(value)
