"""Commit, uncommit, discard: what a user does with drafts once they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.errors import (
    BaselineConflict,
    Fault,
    IllegalTransition,
    InvalidData,
    InvalidRequest,
    NoDrafts,
    VersionConflict,
)
from pfa_core.guard import enter
from pfa_core.model.delta import FieldConflict, check, merge, same, three_way
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal, Right
from pfa_core.model.query import Filters
from pfa_core.store import audit, mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.mirror import MirrorRow
from pfa_core.store.modifications import Commitment, ModificationRow


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the principal's modifications: of a session, of records, both, or everything.

    `expected_versions` maps PFA ids to the draft version the caller has seen.
    """

    session_id: str | None = None
    ids: tuple[str, ...] = ()
    everything: bool = False
    expected_versions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Filters(id=self.ids, session=(self.session_id,) if self.session_id else ())

    @property
    def empty(self) -> bool:
        """Whether it selects nothing: never taken to mean everything."""
        return self.session_id is None and not self.ids and not self.everything


@dataclass(frozen=True, slots=True)
class Committed:
    """A modification after commit or uncommit."""

    pfa_id: str
    modification_id: str
    version: int


@dataclass(frozen=True, slots=True)
class RecordConflict:
    """A draft that PEMS moved under, and the fields in question."""

    pfa_id: str
    modification_id: str
    fields: tuple[FieldConflict, ...]


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What was committed, in PFA id order, what stayed behind in conflict (only with `partial`),
    how many modifications of the session had been committed before, and how many drafts went
    because PEMS has all their values by now."""

    session_id: str | None
    committed: list[Committed]
    conflicts: list[RecordConflict]
    already_committed: int
    settled: list[str]


@dataclass(frozen=True, slots=True)
class UncommitResult:
    """What is a draft again, in PFA id order."""

    session_id: str | None
    uncommitted: list[Committed]


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """The PFA ids whose drafts were dropped; `already_discarded`: the session was dropped before."""

    discarded: list[str]
    already_discarded: bool


def commit(
    db: Database,
    principal: Principal,
    selection: Selection,
    *,
    partial: bool = False,
    dry_run: bool = False,
) -> CommitResult:
    """Commit the principal's drafts, all or none.

    Committed modifications stay visible in the live merge and wait for the next push. A field
    where PEMS already has the drafted value drops out; a draft of which nothing is left goes.
    Committing a session that is committed already does nothing and says so.

    Args:
        partial: Commit the others when some are in conflict or invalid by now.

    Raises:
        NoDrafts: Nothing of the principal's matches the selection.
        VersionConflict: A draft was saved again since the caller read it.
        BaselineConflict: PEMS changed a field that a draft changes too.
        InvalidData: The baseline moved so that a merged record breaks a rule.
    """
    _require_selection(selection)

    def work(conn: Connection[Any]) -> CommitResult:
        enter(conn, principal, Right.SYNC, writing=True)
        drafts = _select(conn, principal, State.DRAFT, selection)
        if not drafts:
            return _nothing_to_commit(conn, principal, selection)
        _require_versions(drafts, selection)
        review = _review(conn, principal, drafts)
        if not partial:
            review.raise_if_bad(len(drafts))
        return _commit(conn, db, principal, review, selection)

    return db.transact(work, dry_run=dry_run)


def uncommit(
    db: Database, principal: Principal, selection: Selection, *, dry_run: bool = False
) -> UncommitResult:
    """Turn committed modifications back into drafts, all or none, while nothing was sent.

    Raises:
        NoDrafts: Nothing committed matches the selection.
        IllegalTransition: A record has a newer draft, or was sent already.
    """
    _require_selection(selection)

    def work(conn: Connection[Any]) -> UncommitResult:
        enter(conn, principal, Right.SYNC, writing=True)
        rows = _select(conn, principal, State.COMMITTED, selection)
        if not rows:
            raise NoDrafts(f"nothing committed {_where(selection)}", hint="type: pfa status")
        _require_alone(conn, principal, rows)
        at = db.clock()
        modifications.uncommit(conn, principal, [row.modification_id for row in rows], at)
        modifications.refresh_overlays(conn, principal, [row.pfa_id for row in rows])
        _audit(conn, db, principal, "uncommit", rows, at)
        return UncommitResult(selection.session_id, _raised(rows))

    return db.transact(work, dry_run=dry_run)


def discard(
    db: Database, principal: Principal, selection: Selection, *, dry_run: bool = False
) -> DiscardResult:
    """Drop drafts; the audit trail keeps their deltas. Committed modifications stay.

    Raises:
        InvalidRequest: The selection is empty: that never means everything.
        IllegalTransition: The session is committed.
        NoDrafts: There never was such a session.
    """
    _require_selection(selection)

    def work(conn: Connection[Any]) -> DiscardResult:
        enter(conn, principal, Right.SAVE_DRAFT, writing=True)
        rows = _select(conn, principal, State.DRAFT, selection)
        if not rows and selection.session_id:
            return _nothing_to_discard(conn, principal, selection)
        at = db.clock()
        modifications.delete_drafts(conn, principal, [row.modification_id for row in rows])
        modifications.refresh_overlays(conn, principal, [row.pfa_id for row in rows])
        _audit(conn, db, principal, "discard", rows, at)
        return DiscardResult([row.pfa_id for row in rows], already_discarded=False)

    return db.transact(work, dry_run=dry_run)


@dataclass
class _Review:
    """Drafts looked at against today's mirror."""

    good: list[tuple[ModificationRow, dict[str, Any]]] = field(default_factory=list)
    settled: list[ModificationRow] = field(default_factory=list)
    conflicts: list[RecordConflict] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def raise_if_bad(self, drafts: int) -> None:
        if self.conflicts:
            raise BaselineConflict(
                f"PEMS changed what {len(self.conflicts):,} of {drafts:,} drafts change too, nothing was committed",
                hint="keep PEMS's value: pfa draft unset ID FIELD; yours: unset it, then pfa draft set it again; "
                "commit the others: --partial",
                details=[
                    fault for conflict in self.conflicts for fault in _conflict_faults(conflict)
                ],
            )
        if self.faults:
            raise InvalidData(
                f"{len(self.faults):,} of {drafts:,} drafts no longer fit the baseline, nothing was committed",
                details=self.faults,
            )


def _review(
    conn: Connection[Any], principal: Principal, drafts: Sequence[ModificationRow]
) -> _Review:
    ids = [draft.pfa_id for draft in drafts]
    rows = mirror.lock_records(conn, principal.organization_id, ids)
    earlier: dict[str, list[dict[str, Any]]] = {}
    for row in modifications.of_records(conn, principal, ids):
        if row.state != State.DRAFT:
            earlier.setdefault(row.pfa_id, []).append(row.delta)
    review = _Review()
    for draft in drafts:
        _review_draft(review, draft, rows[draft.pfa_id], earlier.get(draft.pfa_id, []))
    return review


def _review_draft(
    review: _Review, draft: ModificationRow, row: MirrorRow, earlier: Sequence[dict[str, Any]]
) -> None:
    fields = three_way(draft.base, draft.delta, row.data)
    delta = draft.delta if earlier else _unsettled(draft, row)
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


def _commit(
    conn: Connection[Any], db: Database, principal: Principal, review: _Review, selection: Selection
) -> CommitResult:
    at = db.clock()
    commitments = [
        Commitment(draft.modification_id, delta, draft.version) for draft, delta in review.good
    ]
    rows = [draft for draft, _ in review.good]
    modifications.commit_drafts(conn, principal, commitments, at)
    modifications.delete_drafts(
        conn, principal, [draft.modification_id for draft in review.settled]
    )
    touched = [draft.pfa_id for draft in (*rows, *review.settled)]
    modifications.refresh_overlays(conn, principal, touched)
    _audit(conn, db, principal, "commit", rows, at)
    _audit(conn, db, principal, "settle", review.settled, at)
    conflicts = review.conflicts + _invalid(review.faults)
    return CommitResult(
        selection.session_id,
        _raised(rows),
        conflicts,
        0,
        [draft.pfa_id for draft in review.settled],
    )


def _invalid(faults: Sequence[Fault]) -> list[RecordConflict]:
    return [
        RecordConflict(fault.pfa_id, "", (FieldConflict(fault.field, None, None, fault.message),))
        for fault in faults
    ]


def _nothing_to_commit(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> CommitResult:
    if selection.session_id and not selection.ids:
        states = modifications.states_of_session(conn, principal, selection.session_id)
        if states:
            return CommitResult(selection.session_id, [], [], sum(states.values()), [])
    raise NoDrafts(f"no drafts of {principal.user_id} {_where(selection)}", hint="type: pfa status")


def _nothing_to_discard(
    conn: Connection[Any], principal: Principal, selection: Selection
) -> DiscardResult:
    session = selection.session_id or ""
    if modifications.states_of_session(conn, principal, session):
        raise IllegalTransition(
            f"session {session!r} has no drafts any more: it is committed",
            hint=f"type: pfa uncommit --session {session}, while nothing was sent",
        )
    if audit.was_discarded(conn, principal.organization_id, principal.user_id, session):
        return DiscardResult([], already_discarded=True)
    raise NoDrafts(f"no drafts of {principal.user_id} {_where(selection)}", hint="type: pfa status")


def _select(
    conn: Connection[Any], principal: Principal, state: State, selection: Selection
) -> list[ModificationRow]:
    ids = list(selection.ids) or list(selection.expected_versions) or None
    return modifications.select(conn, principal, state, session_id=selection.session_id, ids=ids)


def _require_selection(selection: Selection) -> None:
    if selection.empty and not selection.expected_versions:
        raise InvalidRequest("nothing is selected", hint="give --session S, --id ID or --all")


def _require_versions(drafts: Sequence[ModificationRow], selection: Selection) -> None:
    found = {draft.pfa_id: draft.version for draft in drafts}
    faults = [
        Fault(
            pfa_id,
            "expectedVersion",
            "VERSION_CONFLICT",
            f"the draft has version {found.get(pfa_id, 0)}, expected was {version}",
        )
        for pfa_id, version in selection.expected_versions.items()
        if found.get(pfa_id, 0) != version
    ]
    if faults:
        raise VersionConflict(
            "drafts were saved again meanwhile, nothing was committed", details=faults
        )


def _require_alone(
    conn: Connection[Any], principal: Principal, rows: Sequence[ModificationRow]
) -> None:
    """Only the newest modification of a record can become its draft, and only when unsent."""
    newest: dict[str, ModificationRow] = {}
    for row in modifications.of_records(conn, principal, [row.pfa_id for row in rows]):
        newest[row.pfa_id] = row
    faults = [
        Fault(
            row.pfa_id,
            "",
            "ILLEGAL_TRANSITION",
            f"has a newer modification, in session {newest[row.pfa_id].session_id!r}",
        )
        for row in rows
        if newest[row.pfa_id].modification_id != row.modification_id
    ]
    if faults:
        raise IllegalTransition(
            f"{len(faults):,} of {len(rows):,} cannot become drafts again, nothing was changed",
            hint="commit or discard the newer drafts first",
            details=faults,
        )


def _conflict_faults(conflict: RecordConflict) -> list[Fault]:
    return [
        Fault(
            conflict.pfa_id,
            item.field,
            "BASELINE_CONFLICT",
            f"was {_shown(item.base)}, PEMS has {_shown(item.pems)} now, you want {_shown(item.mine)}",
        )
        for item in conflict.fields
    ]


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _raised(rows: Sequence[ModificationRow]) -> list[Committed]:
    return [Committed(row.pfa_id, row.modification_id, row.version + 1) for row in rows]


def _audit(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    action: str,
    rows: Sequence[ModificationRow],
    at: datetime,
) -> None:
    gone = action in ("discard", "settle")
    entries = [
        audit.Entry(
            str(db.new_id()),
            row.pfa_id,
            row.modification_id,
            row.session_id,
            before=row.delta,
            after=None if gone else row.delta,
            reason=row.change_reason,
        )
        for row in rows
    ]
    audit.write(conn, principal.organization_id, principal.user_id, action, at, entries)


def _where(selection: Selection) -> str:
    parts = []
    if selection.session_id:
        parts.append(f"in session {selection.session_id!r}")
    if selection.ids:
        parts.append(f"on {', '.join(selection.ids[:3])}{' …' if len(selection.ids) > 3 else ''}")
    return " ".join(parts) or "in this organization"
