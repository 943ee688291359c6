"""Drafts: changed fields saved over records, privately, until they are committed or discarded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core import jsontext
from pfa_core.errors import (
    Fault,
    InvalidData,
    InvalidRequest,
    NoDrafts,
    NotFound,
    PfaError,
    SessionMismatch,
    VersionConflict,
)
from pfa_core.guard import enter
from pfa_core.model.delta import Change, check, clean, merge, same, unwritable
from pfa_core.model.principal import Principal, Right
from pfa_core.model.query import Filters, Query
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.values import Wrong, read_text, shorten
from pfa_core.store import audit, mirror, modifications, records
from pfa_core.store.database import Database
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import DraftUpdate, ModificationRow, NewDraft

MAX_SESSION = 200
_SHARED_CODES: Mapping[str, type[PfaError]] = {
    "NOT_FOUND": NotFound,
    "VERSION_CONFLICT": VersionConflict,
    "SESSION_MISMATCH": SessionMismatch,
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
    """The drafts saved, in PFA id order, and the faults of those that were not."""

    session_id: str
    saved: list[Saved]
    errors: list[Fault]


@dataclass(frozen=True, slots=True)
class UnsetResult:
    """Drafts that lost fields, records whose draft vanished with its last field, and records in
    whose draft none of the fields stood."""

    unset: list[Saved]
    emptied: list[str]
    unchanged: list[str]


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How a save treats what is there: `replace` the delta instead of adding to it, `move` drafts of
    other sessions along, keep the good ones of a `partial`ly faulty input."""

    replace: bool = False
    move: bool = False
    partial: bool = False


def save(
    db: Database,
    principal: Principal,
    changes: Sequence[Change],
    *,
    session_id: str | None = None,
    replace: bool = False,
    move: bool = False,
    partial: bool = False,
    dry_run: bool = False,
    faults: Sequence[Fault] = (),
    source: str = "",
) -> SaveResult:
    """Save deltas as drafts, all or none.

    A delta is added to the record's draft (`old ‖ new`), with version + 1; the same content again
    is `unchanged`. The rules hold for the merged record.

    Args:
        session_id: Groups the drafts; made up when None. An existing draft keeps its session then.
        faults: What was found wrong while the changes were read; reported with the others.
        source: What messages call the input.

    Returns:
        What was saved; with `partial` also the faults of what was not.

    Raises:
        InvalidData: Faults, all of them in `details`; nothing was saved. When every fault is of
            one of these kinds: NotFound, VersionConflict, SessionMismatch instead.
    """
    options = SaveOptions(replace, move, partial)
    if not changes and not faults:
        raise InvalidRequest("there is nothing to save")
    _require_session(session_id)

    def work(conn: Connection[Any]) -> SaveResult:
        enter(conn, principal, Right.SAVE_DRAFT, writing=True)
        saving = _Saving(db, principal, session_id, options, source)
        return saving.run(conn, changes, faults)

    return db.transact(work, dry_run=dry_run)


def set_fields(
    db: Database,
    principal: Principal,
    filters: Filters,
    delta: Mapping[str, Any],
    *,
    reason: str | None = None,
    session_id: str | None = None,
    move: bool = False,
    partial: bool = False,
    dry_run: bool = False,
) -> SaveResult:
    """Save the same delta over every matching record; ids that do not exist are faults."""

    def changes(conn: Connection[Any]) -> list[Change]:
        ids = _matching_ids(conn, principal, filters)
        return [Change(pfa_id, delta, reason) for pfa_id in ids]

    options = SaveOptions(move=move, partial=partial)
    return _save_over(db, principal, changes, session_id, options, dry_run=dry_run)


def shift(
    db: Database,
    principal: Principal,
    filters: Filters,
    days: int,
    *,
    reason: str | None = None,
    session_id: str | None = None,
    move: bool = False,
    partial: bool = False,
    dry_run: bool = False,
) -> SaveResult:
    """Move both forecast dates of every matching record by whole days, back when negative.

    Actualized records are refused: their start is history (BUSINESS_RULE_VIOLATION); filter them
    out, or keep the others with `partial`.
    """
    if not days or abs(days) > 36_500:
        raise InvalidRequest(f"cannot shift by {days} days")

    def changes(conn: Connection[Any]) -> tuple[list[Change], list[Fault]]:
        ids = _matching_ids(conn, principal, filters)
        rows = records.details(conn, principal, ids)
        return _shifted(ids, rows, days, reason)

    options = SaveOptions(move=move, partial=partial)
    return _save_over(db, principal, changes, session_id, options, dry_run=dry_run)


def unset_fields(
    db: Database,
    principal: Principal,
    filters: Filters,
    fields: Sequence[str],
    *,
    dry_run: bool = False,
) -> UnsetResult:
    """Take fields out of the drafts of the matching records; a draft without fields vanishes.

    Raises:
        InvalidRequest: No field, or one that cannot stand in a draft.
        NoDrafts: None of the records has a draft.
    """
    for name in fields:
        wrong = unwritable(name)
        if wrong:
            raise InvalidRequest(f"{name} {wrong.reason}")
    if not fields:
        raise InvalidRequest("name at least one field")

    def work(conn: Connection[Any]) -> UnsetResult:
        enter(conn, principal, Right.SAVE_DRAFT, writing=True)
        ids = _matching_ids(conn, principal, filters)
        locked = mirror.lock_records(conn, principal.organization_id, ids)
        rows = [
            row
            for row in modifications.of_records(conn, principal, list(locked))
            if row.state == "draft"
        ]
        if not rows:
            raise NoDrafts(
                "none of these records has a draft of yours", hint="type: pfa draft list"
            )
        return _unset(conn, db, principal, rows, frozenset(fields))

    return db.transact(work, dry_run=dry_run)


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """`FIELD=VALUE` texts as a delta: each value read as its field's kind; empty or `null` clears.

    Raises:
        InvalidRequest: No `=`, or a field twice.
        InvalidData: A value that its field cannot have, or a field that cannot be edited.
    """
    delta: dict[str, Any] = {}
    faults: list[Fault] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{shorten(assignment)} is no FIELD=VALUE")
        if name in delta:
            raise InvalidRequest(f"{name} stands twice")
        wrong = unwritable(name)
        value = wrong or _assigned(name, text)
        if isinstance(value, Wrong):
            faults.append(Fault("", name, value.code, value.reason))
        delta[name] = value
    if faults:
        raise InvalidData(_count(len(faults), "problem") + ", nothing was saved", details=faults)
    return delta


def _assigned(name: str, text: str) -> Any:
    known = FIELDS[name]
    if text == "" and known.kind is Kind.TEXT and known.default == "":
        return ""
    if text.strip() == "" and known.kind is Kind.FLAG:
        return Wrong("INVALID_TYPE", "must be true or false")
    return read_text(known, text)


def _save_over(
    db: Database,
    principal: Principal,
    changes: Any,
    session_id: str | None,
    options: SaveOptions,
    *,
    dry_run: bool,
) -> SaveResult:
    _require_session(session_id)

    def work(conn: Connection[Any]) -> SaveResult:
        enter(conn, principal, Right.SAVE_DRAFT, writing=True)
        found = changes(conn)
        wanted, faults = found if isinstance(found, tuple) else (found, [])
        if not wanted and not faults:
            raise NotFound("no record matches; nothing was saved")
        return _Saving(db, principal, session_id, options, "").run(conn, wanted, faults)

    return db.transact(work, dry_run=dry_run)


def _matching_ids(conn: Connection[Any], principal: Principal, filters: Filters) -> list[str]:
    """The ids that match; ids named outright stay even where they match nothing, to be reported."""
    if filters.id and replace(filters, id=()) == Filters():
        return list(dict.fromkeys(filters.id))
    query = Query(filters)
    return [row[0] for row in records.stream(conn, principal, query, limit=None)]


def _shifted(
    ids: Sequence[str], rows: Mapping[str, records.DetailRow], days: int, reason: str | None
) -> tuple[list[Change], list[Fault]]:
    changes: list[Change] = []
    faults: list[Fault] = []
    for pfa_id in ids:
        merged = rows[pfa_id].merged if pfa_id in rows else {}
        if merged.get("isActualized"):
            faults.append(
                Fault(
                    pfa_id,
                    "forecastStart",
                    "BUSINESS_RULE_VIOLATION",
                    "is actualized: its start is history",
                )
            )
            continue
        try:
            delta = {
                name: (date.fromisoformat(merged[name]) + timedelta(days)).isoformat()
                for name in ("forecastStart", "forecastEnd")
                if merged.get(name)
            }
        except OverflowError:
            faults.append(
                Fault(pfa_id, "forecastStart", "INVALID_RANGE", "would leave the calendar")
            )
            continue
        if delta or not merged:
            changes.append(Change(pfa_id, delta or {"forecastStart": None}, reason))
    return changes, faults


@dataclass
class _Saving:
    """One save at work: reads and locks the records once, decides in Python, writes in bulk."""

    db: Database
    principal: Principal
    session_id: str | None
    options: SaveOptions
    source: str
    faults: list[Fault] = field(default_factory=list)

    def run(
        self, conn: Connection[Any], changes: Sequence[Change], faults: Sequence[Fault]
    ) -> SaveResult:
        self.faults.extend(faults)
        at = self.db.clock()
        session = self.session_id or _new_session(at, self.db)
        cleaned = self._cleaned(changes)
        ids = sorted({change.pfa_id for change in cleaned})
        locked = mirror.lock_records(conn, self.principal.organization_id, ids)
        stacks = _by_record(modifications.of_records(conn, self.principal, ids))
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
            raise _refusal(self.faults, self.source)
        saved = sorted((self._store(conn, plans, at)), key=lambda item: item.pfa_id)
        return SaveResult(_common_session(plans, session), saved, self.faults)

    def _order_faults(self, changes: Sequence[Change]) -> None:
        """In the order of the input; what has no place of its own there comes last."""
        order = {change.pfa_id: number for number, change in reversed(list(enumerate(changes)))}
        self.faults.sort(key=lambda fault: order.get(fault.pfa_id, len(changes)))

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
                        "DUPLICATE_RECORD",
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
        draft = next((item for item in stack if item.state == "draft"), None)
        earlier = [item.delta for item in stack if item.state != "draft"]
        faults = self._refused(change, row, draft)
        if row is not None and not faults:
            plan = _Plan(change, row, draft, self._session_of(draft, session), self.options.replace)
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
            return [Fault(change.pfa_id, "", "NOT_FOUND", f"is no record of {code}")]
        version = draft.version if draft else 0
        if change.expected_version not in (None, version):
            reason = f"the draft has version {version}, expected was {change.expected_version}"
            return [Fault(change.pfa_id, "expectedVersion", "VERSION_CONFLICT", reason)]
        if draft and self.session_id not in (None, draft.session_id) and not self.options.move:
            reason = f"its draft belongs to session {draft.session_id!r}; --move takes it along"
            return [Fault(change.pfa_id, "sessionId", "SESSION_MISMATCH", reason)]
        return []

    def _session_of(self, draft: ModificationRow | None, session: str) -> str:
        if draft and self.session_id is None:
            return draft.session_id
        return session

    def _store(self, conn: Connection[Any], plans: Sequence[_Plan], at: datetime) -> list[Saved]:
        new = [plan for plan in plans if plan.draft is None]
        changed = [plan for plan in plans if plan.draft is not None and plan.differs]
        same_as_before = [plan for plan in plans if plan.draft is not None and not plan.differs]
        inserts = [plan.as_new(str(self.db.new_id())) for plan in new]
        modifications.insert_drafts(conn, self.principal, inserts, at)
        updates = [plan.as_update() for plan in changed]
        modifications.update_drafts(conn, self.principal, updates, at)
        touched = [plan.change.pfa_id for plan in (*new, *changed)]
        modifications.refresh_overlays(conn, self.principal, touched)
        entries = [
            plan.entry(str(self.db.new_id()), row.modification_id)
            for plan, row in zip((*new, *changed), (*inserts, *updates), strict=True)
        ]
        audit.write(
            conn, self.principal.organization_id, self.principal.user_id, "save", at, entries
        )
        return [
            *(Saved(row.pfa_id, row.modification_id, 1, "created") for row in inserts),
            *(plan.as_saved("updated", 1) for plan in changed),
            *(plan.as_saved("unchanged", 0) for plan in same_as_before),
        ]


@dataclass(frozen=True)
class _Plan:
    """A change that will be stored: what becomes of the record's draft."""

    change: Change
    row: MirrorRow
    draft: ModificationRow | None
    session_id: str
    replaces: bool

    @property
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

    def entry(self, entry_id: str, modification_id: str) -> audit.Entry:
        before = self.draft.delta if self.draft else None
        return audit.Entry(
            entry_id,
            self.row.pfa_id,
            modification_id,
            self.session_id,
            None,
            before,
            self.delta,
            self.change.change_reason,
        )


def _unset(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    drafts: Sequence[ModificationRow],
    fields: frozenset[str],
) -> UnsetResult:
    touched = [draft for draft in drafts if fields & draft.delta.keys()]
    emptied = [draft for draft in touched if draft.delta.keys() <= fields]
    shrunk = [draft for draft in touched if not draft.delta.keys() <= fields]
    at = db.clock()
    updates = [
        DraftUpdate(
            draft.modification_id,
            draft.session_id,
            _without(draft.delta, fields),
            _without(draft.base, fields),
            None,
            draft.version,
        )
        for draft in shrunk
    ]
    modifications.update_drafts(conn, principal, updates, at)
    modifications.delete_drafts(conn, principal, [draft.modification_id for draft in emptied])
    modifications.refresh_overlays(conn, principal, [draft.pfa_id for draft in touched])
    entries = [
        audit.Entry(
            str(db.new_id()),
            draft.pfa_id,
            draft.modification_id,
            draft.session_id,
            before=draft.delta,
            after=_without(draft.delta, fields) or None,
        )
        for draft in touched
    ]
    audit.write(conn, principal.organization_id, principal.user_id, "unset", at, entries)
    return UnsetResult(
        [
            Saved(draft.pfa_id, draft.modification_id, draft.version + 1, "updated")
            for draft in shrunk
        ],
        [draft.pfa_id for draft in emptied],
        [draft.pfa_id for draft in drafts if draft not in touched],
    )


def _without(values: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in fields}


def _clean(change: Change) -> tuple[dict[str, Any], list[Fault]]:
    delta, faults = clean(change.pfa_id, change.delta)
    try:
        jsontext.refuse_unstorable([change.pfa_id, change.change_reason, delta])
    except jsontext.JsonFault as fault:
        faults.append(Fault(change.pfa_id.replace("\0", "\\0"), "", "INVALID_TYPE", fault.reason))
    return delta, faults


def _by_record(rows: Iterable[ModificationRow]) -> dict[str, list[ModificationRow]]:
    stacks: dict[str, list[ModificationRow]] = {}
    for row in rows:
        stacks.setdefault(row.pfa_id, []).append(row)
    return stacks


def _common_session(plans: Sequence[_Plan], session: str) -> str:
    names = {plan.session_id for plan in plans}
    return names.pop() if len(names) == 1 else session


def _new_session(at: datetime, db: Database) -> str:
    """A fresh session id: the instant, and a few letters of a fresh id against namesakes."""
    return f"s-{at:%Y%m%d-%H%M%S}-{str(db.new_id())[-4:]}"


def _require_session(session_id: str | None) -> None:
    if session_id is None:
        return
    if not session_id.strip() or len(session_id) > MAX_SESSION:
        raise InvalidRequest(f"a session id has 1 to {MAX_SESSION} characters")
    try:
        jsontext.refuse_unstorable(session_id)
    except jsontext.JsonFault as fault:
        raise InvalidRequest(f"the session id cannot be stored: {fault.reason}") from None


def _refusal(faults: Sequence[Fault], source: str) -> PfaError:
    codes = {fault.code for fault in faults}
    kind = _SHARED_CODES.get(next(iter(codes)), InvalidData) if len(codes) == 1 else InvalidData
    place = f" in {source}" if source else ""
    return kind(f"{_count(len(faults), 'problem')}{place}, nothing was saved", details=faults)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
