"""Portions of a save within its transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pfa_core import exact_json
from pfa_core.authorization import may_write_all, require_fields
from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_decide import plan_changes
from pfa_core.drafts.save_faults import clean_changes, in_input_order, refusal
from pfa_core.drafts.save_plan import (
    DraftUpdatePlan,
    NewDraftPlan,
    NothingPlan,
    Origin,
    Plan,
    Saved,
    SaveOptions,
)
from pfa_core.drafts.save_relative import compute, sources
from pfa_core.drafts.save_rights import fields_of, fields_to_write
from pfa_core.drafts.save_sheet import moved_since
from pfa_core.drafts.save_write import write_drafts
from pfa_core.errors import Fault
from pfa_core.model.delta import RULED, Change
from pfa_core.model.ids import PfaId, SessionId
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import Operation
from pfa_core.model.sized import portions_by_size
from pfa_core.operation import Tx
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import by_record
from pfa_core.store.portions import portions

if TYPE_CHECKING:
    from pfa_core.drafts.save_preview import Preview, SavePreview

Item = TypeVar("Item")
_WITHOUT_MISSING = "leave out what has no value to start from: `skip_missing=True`"
TOGETHER = 5000  # changes whose records are in memory at one time
CHARACTERS = (
    4 << 20
)  # of the texts of such changes: each is in memory some ten times, in one form or another


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveResult:
    """The drafts saved, in PFA id order, and the faults of those that were not.

    `sessions` holds the number of drafts in each session, the largest first, since existing drafts keep
    theirs, without those that are unchanged beside others; `session_id` is the first of them, else the one
    that was asked for, else empty.
    `unchanged`: the PFA ids of records without a draft that have every value already. `emptied`: those
    of drafts that were removed, since every value in them was set back to the one below. `skipped`: those of
    records in which a relative value had nothing to start from. `moved`: those whose row of a sheet does not
    show any more what PEMS has. `preview`: of a dry run, what changes.
    """

    session_id: SessionId
    saved: list[Saved]
    errors: list[Fault]
    sessions: Mapping[str, int] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    preview: SavePreview | None = None


class Saving:
    """A save that takes its changes in portions.

    Each is written before the next is taken: `take` for each portion, `result` at the end. A fault ends the
    writing, unless the save is partial; the rest is read for its faults all the same, and the transaction is
    rolled back. Changes of more than one portion are held by `hold` before.

    Args:
        times: How often a record is listed that is listed more than once.
        faults: Those found while the changes were made; it may grow between portions.
        touched: What `hold` returned.
        preview: Collects what changes.
    """

    def __init__(
        self,
        tx: Tx,
        options: SaveOptions,
        *,
        times: Mapping[str, int] | None = None,
        faults: Sequence[Fault] = (),
        touched: Set[str] | None = None,
        preview: Preview | None = None,
    ) -> None:
        self._tx, self._options, self._at = tx, options, tx.now()
        self._session = SessionId(options.session_id or _new_session(self._at, tx))
        self._times, self._reported = times or {}, set[str]()
        self._given, self._touched, self._preview = faults, touched, preview
        self._missing = 0
        self._skipped: list[str] = []
        self._moved: list[str] = []
        self._invalid: list[Fault] = []
        self._refused: list[Fault] = []
        self._saved: list[Saved] = []
        self._unchanged: list[str] = []
        self._emptied: list[str] = []
        self._by_session: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._fields: tuple[dict[str, None], dict[str, None]] = ({}, {})
        self._planned = False
        self.taken = 0

    def take(self, changes: Sequence[Change], origins: Mapping[str, Origin] | None = None) -> None:
        """Plan and write some changes.

        Args:
            origins: Of drafts that are restored, by PFA id.
        """
        self.taken += len(changes)
        options = replace(self._options, origins=origins) if origins else self._options
        cleaned, invalid = clean_changes(changes, self._times, self._reported)
        more = self._preview.costed if self._preview else frozenset[str]()
        if (
            self._preview and options.replace
        ):  # what only the draft has gets the value of PEMS again
            more = FIELDS.keys()
        records = _lock_current(self._tx, cleaned, self._touched, more)
        computed = compute(cleaned, records, skip_missing=options.skip_missing)
        plans, refused = plan_changes(
            computed.changes,
            records,
            options,
            organization_id=self._tx.organization_id,
            session_id=self._session,
        )
        self._invalid += invalid
        self._refused += [*computed.faults, *refused]
        self._missing += computed.missing
        self._skipped += computed.skipped
        self._moved += moved_since(cleaned, records)
        if self._preview:
            self._preview.add(plans, records)
        self._note(changes, plans)
        if options.partial or not (self._given or self._invalid or self._refused):
            self._saved += write_drafts(self._tx, plans, self._at)

    def result(self, in_order: Iterable[str], source: str = "") -> SaveResult:
        """Return what was saved.

        Args:
            in_order: The PFA ids of the changes in the order of the input; read where there are faults.
            source: The name of the input in messages.

        Raises:
            PermissionDenied: A field that the caller may not write.
            InvalidData: Faults; nothing is saved. Or the error of the code that they share.
        """
        unplanned, drafted = self._fields
        require_fields(
            self._tx.principal, self._tx.member, [*unplanned, *drafted], self._tx.operation
        )
        found = [*self._given, *self._invalid, *self._refused]
        found = in_input_order(found, in_order) if found else found
        if found and not (self._options.partial and self._planned):
            restores = self._tx.operation is Operation.RESTORE
            hint = _WITHOUT_MISSING if self._missing == len(found) else ""
            raise refusal(found, "restored" if restores else "saved", source, hint=hint)
        changed, drafts = self._by_session
        sessions = dict((changed or drafts).most_common())
        asked = SessionId(self._options.session_id or "")
        return SaveResult(
            session_id=SessionId(next(iter(sessions), asked)),
            saved=sorted(self._saved, key=lambda item: item.pfa_id),
            errors=found,
            sessions=sessions,
            unchanged=sorted(self._unchanged),
            emptied=sorted(self._emptied),
            skipped=sorted(self._skipped),
            moved=sorted(self._moved),
            preview=self._preview.result() if self._preview else None,
        )

    def _note(self, changes: Sequence[Change], plans: Sequence[Plan]) -> None:
        """Keep what the result and the rights need of some plans."""
        self._planned = self._planned or bool(plans)
        if not may_write_all(self._tx.principal, self._tx.member):
            unplanned, drafted = self._fields
            planned = {plan.pfa_id for plan in plans}
            rest = (change for change in changes if change.pfa_id not in planned)
            unplanned.update(dict.fromkeys(fields_of(rest)))
            drafted.update(dict.fromkeys(fields_to_write(plans)))
        changed, drafts = self._by_session
        for plan in plans:
            if isinstance(plan, NothingPlan):
                self._unchanged.append(plan.pfa_id)
            elif plan.delta:
                drafts[str(plan.session_id)] += 1
                if isinstance(plan, NewDraftPlan) or plan.changed:
                    changed[str(plan.session_id)] += 1
            elif isinstance(plan, DraftUpdatePlan):
                self._emptied.append(plan.pfa_id)


def in_portions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Split what is saved into the portions of a save."""
    return portions(items, TOGETHER)


def changes_in_portions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Split changes of any size into the portions of a save."""
    return portions_by_size(changes, TOGETHER, CHARACTERS)


def hold(tx: Tx, ids: Iterable[str], *, characters: int = 0) -> Set[str] | None:
    """Lock records and the caller's modifications of more than one portion.

    Portion by portion they would be locked in another order than other writers lock them in.

    Args:
        characters: Of the texts that will be saved.

    Returns:
        The records that have modifications of the caller; None for one portion, which is not asked about.
    """
    storable = sorted(PfaId(pfa_id) for pfa_id in ids if _is_storable(pfa_id))
    if len(storable) > TOGETHER or characters >= CHARACTERS:
        mirror.hold(tx.conn, tx.organization_id, storable)
        return modifications.hold(tx.conn, tx.principal, storable)
    return None


def _is_storable(pfa_id: str) -> bool:
    try:
        exact_json.refuse_texts((pfa_id,))
    except exact_json.JsonFault:
        return False
    return True


def _lock_current(
    tx: Tx, changes: Sequence[Change], touched: Set[str] | None, more: Set[str]
) -> dict[str, CurrentRecord]:
    """Lock and read the records to change, only the fields that matter.

    Args:
        more: Fields that matter beside those of rules and changes.
    """
    ids = sorted({PfaId(change.pfa_id) for change in changes})
    shown = (change.seen.pems for change in changes if change.seen)
    fields = RULED.union(sources(changes), more, *(change.delta for change in changes), *shown)
    read_only = set[str]().union(*(change.read_only for change in changes if change.read_only))
    if read_only <= FIELDS.keys():
        names = sorted(fields | read_only)
        rows = mirror.lock_fields(tx.conn, tx.organization_id, ids, names)
    else:
        rows = mirror.lock_records(tx.conn, tx.organization_id, ids)
    # Where the planner has no statistics of the caller, it reads all that the caller has by then: not for nothing.
    asked = ids if touched is None else [pfa_id for pfa_id in ids if pfa_id in touched]
    stacks = by_record(modifications.of_records(tx.conn, tx.principal, asked) if asked else ())
    return {pfa_id: CurrentRecord(row, stacks.get(pfa_id, ())) for pfa_id, row in rows.items()}


def _new_session(at: datetime, tx: Tx) -> str:
    """Return a fresh session id: the time, then four characters against equal ones."""
    return f"s-{at:%Y%m%d-%H%M%S}-{tx.new_id()[-4:]}"
