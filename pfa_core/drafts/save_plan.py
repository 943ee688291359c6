"""One save at work: reads and locks the records once, decides in Python, writes in bulk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from psycopg import Connection

from pfa_core import exact_json
from pfa_core.errors import (
    Fault,
    FaultCode,
    InvalidData,
    NotFound,
    PfaError,
    SessionMismatch,
    VersionConflict,
)
from pfa_core.model.audit import Action
from pfa_core.model.delta import RULED, Change, check, clean, merge, same
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.store import audit, mirror, modifications, overlays
from pfa_core.store.database import Database
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import DraftUpdate, ModificationRow, NewDraft, by_record

_LAST_NUMBER = re.compile(r"\d+$")
_SHARED_CODES: Mapping[str, type[PfaError]] = {
    FaultCode.NOT_FOUND: NotFound,
    FaultCode.VERSION_CONFLICT: VersionConflict,
    FaultCode.SESSION_MISMATCH: SessionMismatch,
}


@dataclass(frozen=True, slots=True)
class Saved:
    """A draft after a save; `status` is created, updated or unchanged (no new version)."""

    pfa_id: str
    modification_id: str
    version: int
    status: str


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The drafts saved, in PFA id order, and the faults of those that were not. `sessions` tells how many
    lie in which session, since drafts keep theirs; `session_id` is the one with the most of them."""

    session_id: str
    saved: list[Saved]
    errors: list[Fault]
    sessions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How a save treats what is there: `replace` the delta instead of adding to it, `move` drafts of
    other sessions along, keep the good ones of a `partial`ly faulty input."""

    replace: bool = False
    move: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """The session of a draft that is restored, and the entry of the audit trail that discarded it."""

    session_id: str
    entry_id: str


@dataclass
class Saving:
    """One save: what it was asked, and the faults it has found so far. With `origins`, by PFA id, it
    restores drafts that were discarded."""

    db: Database
    principal: Principal
    session_id: str | None
    options: SaveOptions
    source: str
    faults: list[Fault] = field(default_factory=list)
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def run(
        self, conn: Connection[Any], changes: Sequence[Change], faults: Sequence[Fault]
    ) -> SaveResult:
        """Save the changes in the caller's transaction, all or, with `partial`, the good ones."""
        self.faults.extend(faults)
        at = self.db.clock()
        session = self.session_id or _new_session(at, self.db)
        cleaned = self._cleaned(changes)
        ids = sorted({change.pfa_id for change in cleaned})
        fields = sorted(RULED.union(*(change.delta for change in cleaned)))
        locked = mirror.lock_fields(conn, self.principal.organization_id, ids, fields)
        stacks = by_record(modifications.of_records(conn, self.principal, ids))
        plans = [
            plan
            for change in cleaned
            if (
                plan := self._plan(
                    change, locked.get(change.pfa_id), stacks.get(change.pfa_id, []), session
                )
            )
        ]
        self._order_faults(changes)
        if self.faults and not (self.options.partial and plans):
            raise _refusal(self.faults, self.source, "restored" if self.origins else "saved")
        saved = sorted((self._store(conn, plans, at)), key=lambda item: item.pfa_id)
        sessions = dict(Counter(plan.session_id for plan in plans).most_common())
        return SaveResult(next(iter(sessions), session), saved, self.faults, sessions)

    def _order_faults(self, changes: Sequence[Change]) -> None:
        """In the order of the input: by place where the input has places, else by change."""
        places = {change.pfa_id: place for place, change in reversed(list(enumerate(changes)))}

        def place(fault: Fault) -> int:
            number = _LAST_NUMBER.search(fault.position)
            return int(number[0]) if number else places.get(fault.pfa_id, len(changes))

        self.faults.sort(key=place)

    def _cleaned(self, changes: Sequence[Change]) -> list[Change]:
        """The changes whose single fields are in order, each record once."""
        times = Counter(change.pfa_id for change in changes)
        good: list[Change] = []
        told: set[str] = set()
        for change in changes:
            delta, faults = _clean(change)
            if times[change.pfa_id] > 1 and change.pfa_id not in told:
                told.add(change.pfa_id)
                faults.append(
                    Fault(
                        change.pfa_id,
                        "pfaId",
                        FaultCode.DUPLICATE_RECORD,
                        f"stands {times[change.pfa_id]} times",
                    )
                )
            self.faults.extend(replace(fault, position=change.position) for fault in faults)
            if not faults and times[change.pfa_id] == 1:
                good.append(replace(change, delta=delta))
        return good

    def _plan(
        self, change: Change, row: MirrorRow | None, stack: Sequence[ModificationRow], session: str
    ) -> _Plan | None:
        draft = next((item for item in stack if item.state == State.DRAFT), None)
        earlier = [item.delta for item in stack if item.state != State.DRAFT]
        faults = self._refused(change, row, draft)
        if row is not None and not faults:
            own = self._session_of(row.pfa_id, draft, session)
            alone = len(stack) == (draft is not None)
            plan = _Plan(change, row, draft, own, self.options.replace, alone)
            faults = check(change.pfa_id, merge(row.data, *earlier), plan.delta)
            if not faults:
                return plan
        self.faults.extend(replace(fault, position=change.position) for fault in faults)
        return None

    def _refused(
        self, change: Change, row: MirrorRow | None, draft: ModificationRow | None
    ) -> list[Fault]:
        code = self.principal.organization_id
        if row is None:
            return [Fault(change.pfa_id, "", FaultCode.NOT_FOUND, f"is no record of {code}")]
        version = draft.version if draft else 0
        if change.expected_version not in (None, version):
            reason = f"the draft has version {version}, expected was {change.expected_version}"
            return [Fault(change.pfa_id, "expectedVersion", FaultCode.VERSION_CONFLICT, reason)]
        if draft and self.session_id not in (None, draft.session_id) and not self.options.move:
            reason = f"its draft belongs to session {draft.session_id!r}; --move takes it along"
            return [Fault(change.pfa_id, "sessionId", FaultCode.SESSION_MISMATCH, reason)]
        return []

    def _session_of(self, pfa_id: str, draft: ModificationRow | None, session: str) -> str:
        if draft and self.session_id is None:
            return draft.session_id
        origin = self.origins.get(pfa_id)
        return origin.session_id if origin else session

    def _store(self, conn: Connection[Any], plans: Sequence[_Plan], at: datetime) -> list[Saved]:
        new = [plan for plan in plans if plan.draft is None]
        changed = [plan for plan in plans if plan.draft is not None and plan.differs]
        same_as_before = [plan for plan in plans if plan.draft is not None and not plan.differs]
        inserts = [plan.as_new(str(self.db.new_id())) for plan in new]
        modifications.insert_drafts(conn, self.principal, inserts, at)
        updates = [plan.as_update() for plan in changed]
        modifications.update_drafts(conn, self.principal, updates, at)
        self._overlay(conn, new, inserts, changed)
        self._audit(conn, inserts, changed, at)
        return [
            *(Saved(row.pfa_id, row.modification_id, 1, "created") for row in inserts),
            *(plan.as_saved("updated", 1) for plan in changed),
            *(plan.as_saved("unchanged", 0) for plan in same_as_before),
        ]

    def _overlay(
        self,
        conn: Connection[Any],
        new: Sequence[_Plan],
        inserts: Sequence[NewDraft],
        changed: Sequence[_Plan],
    ) -> None:
        made = [row.modification_id for row in inserts]
        kept = [plan.draft.modification_id for plan in changed if plan.draft]
        for plans, ids, there in ((new, made, False), (changed, kept, True)):
            alone = [one for plan, one in zip(plans, ids, strict=True) if plan.alone]
            stacked = [plan.change.pfa_id for plan in plans if not plan.alone]
            overlays.put_single_overlays(conn, self.principal, alone, there=there)
            overlays.put_overlays(conn, self.principal, stacked, there=there)

    def _audit(
        self, conn: Connection[Any], new: Sequence[NewDraft], changed: Sequence[_Plan], at: datetime
    ) -> None:
        by, new_id = self.principal, self.db.new_id
        if self.origins:
            self._audit_restored(conn, new, at)
            return
        ids = [row.modification_id for row in new]
        audit.write_of(conn, by, Action.SAVE, at, ids, new_id, before=False)
        entries = [plan.entry(str(new_id())) for plan in changed]
        audit.write(conn, by.organization_id, by.user_id, Action.SAVE, at, entries)

    def _audit_restored(self, conn: Connection[Any], new: Sequence[NewDraft], at: datetime) -> None:
        by = self.principal
        entries = [
            audit.Entry(
                str(self.db.new_id()),
                row.pfa_id,
                row.modification_id,
                row.session_id,
                after=row.delta,
                reason=f"restores entry {self.origins[row.pfa_id].entry_id}",
                restores=self.origins[row.pfa_id].entry_id,
            )
            for row in new
        ]
        audit.write(conn, by.organization_id, by.user_id, Action.RESTORE, at, entries)


@dataclass(frozen=True)
class _Plan:
    """A change that will be stored: what becomes of the record's draft; `alone`: nothing else of the
    principal's lies over the record."""

    change: Change
    row: MirrorRow
    draft: ModificationRow | None
    session_id: str
    replaces: bool
    alone: bool

    @cached_property
    def delta(self) -> dict[str, Any]:
        old = {} if self.draft is None or self.replaces else self.draft.delta
        return merge(old, self.change.delta)

    @property
    def base(self) -> dict[str, Any]:
        """The mirror's value of each field when it was first drafted."""
        old = self.draft.base if self.draft else {}
        return {name: old[name] if name in old else self.row.data.get(name) for name in self.delta}

    @property
    def differs(self) -> bool:
        assert self.draft is not None  # noqa: S101 - asked of existing drafts only
        reason = self.change.change_reason
        return (
            not same(self.delta, self.draft.delta)
            or self.session_id != self.draft.session_id
            or reason not in (None, self.draft.change_reason)
        )

    def as_new(self, modification_id: str) -> NewDraft:
        return NewDraft(
            modification_id,
            self.row.pfa_id,
            self.session_id,
            self.delta,
            self.base,
            self.row.version,
            self.change.change_reason,
        )

    def as_update(self) -> DraftUpdate:
        assert self.draft is not None  # noqa: S101 - asked of existing drafts only
        return DraftUpdate(
            self.draft.modification_id,
            self.session_id,
            self.delta,
            self.base,
            self.change.change_reason,
            self.draft.version,
        )

    def as_saved(self, status: str, raised: int) -> Saved:
        assert self.draft is not None  # noqa: S101 - asked of existing drafts only
        return Saved(
            self.row.pfa_id, self.draft.modification_id, self.draft.version + raised, status
        )

    def entry(self, entry_id: str) -> audit.Entry:
        assert self.draft is not None  # noqa: S101 - asked of existing drafts only
        return audit.Entry(
            entry_id,
            self.row.pfa_id,
            self.draft.modification_id,
            self.session_id,
            None,
            self.draft.delta,
            self.delta,
            self.change.change_reason,
        )


def _clean(change: Change) -> tuple[dict[str, Any], list[Fault]]:
    delta, faults = clean(change.pfa_id, change.delta)
    if not isinstance(change.change_reason, str | None):
        faults.append(
            Fault(change.pfa_id, "changeReason", FaultCode.INVALID_TYPE, "must be a text")
        )
    try:
        exact_json.refuse_texts((change.pfa_id, change.change_reason, *delta.values()))
    except exact_json.JsonFault as fault:
        faults.append(
            Fault(change.pfa_id.replace("\0", "\\0"), "", FaultCode.INVALID_TYPE, fault.reason)
        )
    return delta, faults


def _new_session(at: datetime, db: Database) -> str:
    """A fresh session id: the instant, and a few letters of a fresh id against namesakes."""
    return f"s-{at:%Y%m%d-%H%M%S}-{str(db.new_id())[-4:]}"


def _refusal(faults: Sequence[Fault], source: str, done: str) -> PfaError:
    codes = {fault.code for fault in faults}
    kind = _SHARED_CODES.get(next(iter(codes)), InvalidData) if len(codes) == 1 else InvalidData
    place = f" in {source}" if source else ""
    return kind(f"{count(len(faults), 'problem')}{place}, nothing was {done}", details=faults)


def count(number: int, noun: str) -> str:
    """`3 problems`, `1 problem`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
