"""Fields taken out of drafts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.drafts.save import matching_ids
from pfa_core.drafts.save_plan import Saved, count
from pfa_core.errors import (
    InvalidData,
    InvalidRequest,
    NoDrafts,
    NotFound,
)
from pfa_core.model.audit import Action
from pfa_core.model.delta import check, merge, unwritable
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.store import audit, mirror, modifications, overlays
from pfa_core.store.database import Database
from pfa_core.store.modifications import DraftUpdate, ModificationRow, by_record
from pfa_core.store.suggestions import nearest


@dataclass(frozen=True, slots=True)
class UnsetResult:
    """Drafts that lost fields, records whose draft vanished with its last field, and records in
    whose draft none of the fields stood."""

    unset: list[Saved]
    emptied: list[str]
    unchanged: list[str]


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
        authorize(conn, principal, Operation.UNSET_FIELDS, writing=True)
        ids = matching_ids(conn, principal, filters)
        locked = mirror.lock_records(conn, principal.organization_id, ids)
        lost = [pfa_id for pfa_id in filters.id if pfa_id not in locked and pfa_id in ids]
        if lost:
            raise NotFound(f"{lost[0]!r} is no record or field, nothing was changed")
        stacks = by_record(modifications.of_records(conn, principal, list(locked)))
        rows = [row for stack in stacks.values() for row in stack if row.state == State.DRAFT]
        if not rows:
            near = nearest(conn, principal, filters)
            raise NoDrafts(
                "none of these records has a draft of yours", hint=near or "type: pfa draft list"
            )
        _require_valid_rest(rows, locked, stacks, frozenset(fields))
        return _unset(conn, db, principal, rows, frozenset(fields))

    return db.transact(work, dry_run=dry_run)


def _require_valid_rest(
    drafts: Sequence[ModificationRow],
    rows: Mapping[str, mirror.MirrorRow],
    stacks: Mapping[str, Sequence[ModificationRow]],
    fields: frozenset[str],
) -> None:
    """What stays in a draft must still make a valid record."""
    faults = []
    for draft in drafts:
        earlier = [row.delta for row in stacks[draft.pfa_id] if row.state != State.DRAFT]
        current = merge(rows[draft.pfa_id].data, *earlier)
        if fields & draft.delta.keys():
            faults += check(draft.pfa_id, current, _without(draft.delta, fields))
    if faults:
        raise InvalidData(
            f"{count(len(faults), 'problem')}, nothing was changed",
            hint="unset the field named too",
            details=faults,
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
    overlays.refresh_overlays(conn, principal, [draft.pfa_id for draft in touched])
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
    audit.write(conn, principal.organization_id, principal.user_id, Action.UNSET, at, entries)
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
