"""Drafts: changed fields saved over records, privately, until they are committed or discarded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from psycopg import Connection

from pfa_core import jsontext
from pfa_core.access.authorization import enter, require_fields
from pfa_core.errors import (
    Fault,
    InvalidData,
    InvalidRequest,
    NoDrafts,
    NotFound,
)
from pfa_core.model.delta import Change, Record, check, merge, unwritable
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.rights import Operation
from pfa_core.model.values import Wrong, read_text, shorten
from pfa_core.saving import Saved, SaveOptions, SaveResult, Saving, count
from pfa_core.store import audit, mirror, modifications, overlays
from pfa_core.store.database import Database
from pfa_core.store.modifications import DraftUpdate, ModificationRow, by_record
from pfa_core.store.reads import merged as records
from pfa_core.store.suggestions import nearest

MAX_SESSION = 200
_SHIFTED = ("forecastStart", "forecastEnd")


@dataclass(frozen=True, slots=True)
class UnsetResult:
    """Drafts that lost fields, records whose draft vanished with its last field, and records in
    whose draft none of the fields stood."""

    unset: list[Saved]
    emptied: list[str]
    unchanged: list[str]


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
        PermissionDenied: A field that the principal may not write.
    """
    options = SaveOptions(replace, move, partial)
    if not changes and not faults:
        raise InvalidRequest("there is nothing to save")
    _require_session(session_id)

    def work(conn: Connection[Any]) -> SaveResult:
        member = enter(conn, principal, Operation.SAVE, writing=True)
        require_fields(principal, member, _fields_of(changes), Operation.SAVE)
        saving = Saving(db, principal, session_id, options, source)
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
    written = (Operation.SET_FIELDS, tuple(delta))
    return _save_over(
        db, principal, filters, changes, session_id, options, written, dry_run=dry_run
    )


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
        # Locked before they are read: else a pull in between would be shifted back unseen.
        rows = mirror.lock_records(conn, principal.organization_id, ids)
        stacks = by_record(modifications.living(conn, principal, ids))
        merged = {
            pfa_id: merge(row.data, *(item.delta for item in stacks.get(pfa_id, [])))
            for pfa_id, row in rows.items()
        }
        return _shifted(ids, merged, days, reason)

    options = SaveOptions(move=move, partial=partial)
    written = (Operation.SHIFT, _SHIFTED)
    return _save_over(
        db, principal, filters, changes, session_id, options, written, dry_run=dry_run
    )


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
        enter(conn, principal, Operation.UNSET_FIELDS, writing=True)
        ids = _matching_ids(conn, principal, filters)
        locked = mirror.lock_records(conn, principal.organization_id, ids)
        lost = [pfa_id for pfa_id in filters.id if pfa_id not in locked and pfa_id in ids]
        if lost:
            raise NotFound(f"{lost[0]!r} is no record or field, nothing was changed")
        stacks = by_record(modifications.of_records(conn, principal, list(locked)))
        rows = [row for stack in stacks.values() for row in stack if row.state == "draft"]
        if not rows:
            near = nearest(conn, principal, filters)
            raise NoDrafts(
                "none of these records has a draft of yours", hint=near or "type: pfa draft list"
            )
        _require_valid_rest(rows, locked, stacks, frozenset(fields))
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
        raise InvalidData(count(len(faults), "problem") + ", nothing was saved", details=faults)
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
    filters: Filters,
    changes: Any,
    session_id: str | None,
    options: SaveOptions,
    written: tuple[Operation, Sequence[str]],
    *,
    dry_run: bool,
) -> SaveResult:
    """Save what `changes` finds, by an operation that writes these fields."""
    _require_session(session_id)

    def work(conn: Connection[Any]) -> SaveResult:
        operation, fields = written
        member = enter(conn, principal, operation, writing=True)
        require_fields(principal, member, fields, operation)
        found = changes(conn)
        wanted, faults = found if isinstance(found, tuple) else (found, [])
        if not wanted and not faults:
            near = nearest(conn, principal, filters)
            raise NotFound("no record matches; nothing was saved", hint=near)
        return Saving(db, principal, session_id, options, "").run(conn, wanted, faults)

    return db.transact(work, dry_run=dry_run)


def _fields_of(changes: Iterable[Change]) -> list[str]:
    """The names in the deltas; what is no delta at all is told with the other faults."""
    deltas = [change.delta for change in changes if isinstance(change.delta, Mapping)]
    return list(dict.fromkeys(name for delta in deltas for name in delta))


def _matching_ids(conn: Connection[Any], principal: Principal, filters: Filters) -> list[str]:
    """The ids that match; ids named outright stay even where they match nothing, to be reported."""
    if filters.id and replace(filters, id=()) == Filters():
        return list(dict.fromkeys(filters.id))
    query = Query(filters)
    return [row[0] for row in records.stream(conn, principal, query, limit=None)]


def _shifted(
    ids: Sequence[str], records: Mapping[str, Record], days: int, reason: str | None
) -> tuple[list[Change], list[Fault]]:
    changes: list[Change] = []
    faults: list[Fault] = []
    for pfa_id in ids:
        merged = records.get(pfa_id, {})
        if merged.get("isActualized"):
            faults.append(
                Fault(
                    pfa_id,
                    "forecastStart",
                    "BUSINESS_RULE_VIOLATION",
                    "is actualized: its start is history; --no-actualized leaves such records out",
                )
            )
            continue
        try:
            delta = {
                name: (date.fromisoformat(merged[name]) + timedelta(days)).isoformat()
                for name in _SHIFTED
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


def _require_valid_rest(
    drafts: Sequence[ModificationRow],
    rows: Mapping[str, mirror.MirrorRow],
    stacks: Mapping[str, Sequence[ModificationRow]],
    fields: frozenset[str],
) -> None:
    """What stays in a draft must still make a valid record."""
    faults = []
    for draft in drafts:
        earlier = [row.delta for row in stacks[draft.pfa_id] if row.state != "draft"]
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


def _require_session(session_id: str | None) -> None:
    if session_id is None:
        return
    if not session_id.strip() or len(session_id) > MAX_SESSION:
        raise InvalidRequest(f"a session id has 1 to {MAX_SESSION} characters")
    try:
        jsontext.refuse_unstorable(session_id)
    except jsontext.JsonFault as fault:
        raise InvalidRequest(f"the session id cannot be stored: {fault.reason}") from None
