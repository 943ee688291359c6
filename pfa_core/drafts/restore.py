"""Restore: discarded drafts made drafts again, out of the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from pfa_core.authorization import authorize, require_fields
from pfa_core.drafts.save_plan import Origin, Saved, SaveOptions, Saving
from pfa_core.errors import Fault, FaultCode, InvalidRequest, NoDrafts, NotFound
from pfa_core.model.delta import Change
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.store import audit, mirror, modifications
from pfa_core.store.audit import DiscardedDraft
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """The drafts that are back, in PFA id order; the PFA ids of those that had been restored before;
    and why others stay discarded (only with `partial`)."""

    restored: list[Saved]
    already_restored: list[str]
    errors: list[Fault]


def restore(
    db: Database,
    principal: Principal,
    *,
    session_id: str | None = None,
    ids: Sequence[str] = (),
    entry_ids: Sequence[str] = (),
    partial: bool = False,
    dry_run: bool = False,
) -> RestoreResult:
    """Make the principal's discarded drafts drafts again, all or none: of each record the newest.

    They go the way of every save, over the baseline of today: the rules are checked again. They come
    back into the sessions they were in. What was restored already is left alone, whatever became of it.

    Args:
        session_id, ids: Of this session, of these records; both together narrow.
        entry_ids: The entries of the trail that say `discard`, also older ones than the newest.
        partial: Restore the others when some cannot be.

    Raises:
        InvalidRequest: Nothing is selected.
        NoDrafts: Nothing of the principal's that matches was discarded.
        PermissionDenied: One of them changes a field that the principal may not write (any more).
        VersionConflict: A record has a draft; more faults of other kinds make it InvalidData.
    """
    if session_id is None and not ids and not entry_ids:
        raise InvalidRequest(
            "nothing is selected", hint="give --session S, --id ID or --entry ENTRY_ID"
        )
    Filters(id=tuple(ids), session=(session_id,) if session_id else ())
    entries = [_entry_id(text) for text in entry_ids]

    def work(conn: Connection[Any]) -> RestoreResult:
        member = authorize(conn, principal, Operation.RESTORE, writing=True)
        found = audit.discarded(
            conn,
            principal,
            session_id=session_id,
            ids=list(ids) or None,
            entry_ids=entries or None,
        )
        if not found:
            raise NoDrafts(
                f"no draft of {principal.user_id} was discarded there",
                hint="type: pfa log --action discard",
            )
        fields = dict.fromkeys(name for item in found if not item.restored for name in item.delta)
        require_fields(principal, member, fields, Operation.RESTORE)
        faults = [*_never_discarded(ids, found), *_taken_twice(entries, found)]
        return _restore(conn, db, principal, found, faults, partial=partial)

    return db.transact(work, dry_run=dry_run)


def _restore(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    found: Sequence[DiscardedDraft],
    faults: list[Fault],
    *,
    partial: bool,
) -> RestoreResult:
    already = [item.pfa_id for item in found if item.restored]
    wanted = {item.pfa_id: item for item in found if not item.restored}
    if not wanted and not faults:
        return RestoreResult([], already, [])
    mirror.lock_records(conn, principal.organization_id, sorted(wanted))
    drafted = {
        row.pfa_id: row.session_id
        for row in modifications.of_records(conn, principal, sorted(wanted))
        if row.state == State.DRAFT
    }
    faults += [_has_draft(pfa_id, session) for pfa_id, session in drafted.items()]
    free = [item for item in wanted.values() if item.pfa_id not in drafted]
    origins = {item.pfa_id: Origin(item.session_id, item.entry_id) for item in wanted.values()}
    options = SaveOptions(partial=partial)
    saving = Saving(db, principal, None, options, "", origins=origins)
    changes = [Change(item.pfa_id, item.delta, item.reason) for item in free]
    result = saving.run(conn, changes, faults)
    return RestoreResult(result.saved, already, result.errors)


def _has_draft(pfa_id: str, session_id: str) -> Fault:
    reason = f"has a draft, in session {session_id!r}; discard or commit it first"
    return Fault(pfa_id, "", FaultCode.VERSION_CONFLICT, reason)


def _never_discarded(ids: Iterable[str], found: Sequence[DiscardedDraft]) -> list[Fault]:
    """Records named outright of which nothing was discarded: a typo must not pass for "done"."""
    known = {item.pfa_id for item in found}
    reason = "no draft of yours on it was discarded"
    return [Fault(pfa_id, "", FaultCode.NOT_FOUND, reason) for pfa_id in ids if pfa_id not in known]


def _taken_twice(entry_ids: Iterable[str], found: Sequence[DiscardedDraft]) -> list[Fault]:
    """Entries named outright that are no discard of the principal's, or older than another named one."""
    known = {item.entry_id for item in found}
    reason = "is no discard of yours, or of the same record as a newer one that is named"
    return [
        Fault("", "", FaultCode.NOT_FOUND, reason, f"entry {entry_id}")
        for entry_id in entry_ids
        if entry_id not in known
    ]


def _entry_id(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise NotFound(f"there is no entry {text!r}", hint="type: pfa log -o ids") from None
