"""Drafts: changed fields saved over records, privately, until they are committed or discarded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection

from pfa_core import exact_json
from pfa_core.authorization import authorize, require_fields
from pfa_core.drafts.save_plan import SaveOptions, SaveResult, Saving
from pfa_core.errors import (
    Fault,
    InvalidRequest,
    NotFound,
)
from pfa_core.model.delta import Change
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.model.rights import Operation
from pfa_core.store.database import Database
from pfa_core.store.reads import merged as records
from pfa_core.store.suggestions import nearest

MAX_SESSION = 200


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
        member = authorize(conn, principal, Operation.SAVE, writing=True)
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
        ids = matching_ids(conn, principal, filters)
        return [Change(pfa_id, delta, reason) for pfa_id in ids]

    options = SaveOptions(move=move, partial=partial)
    written = (Operation.SET_FIELDS, tuple(delta))
    return save_over(db, principal, filters, changes, session_id, options, written, dry_run=dry_run)


def save_over(
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
        member = authorize(conn, principal, operation, writing=True)
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


def matching_ids(conn: Connection[Any], principal: Principal, filters: Filters) -> list[str]:
    """The ids that match; ids named outright stay even where they match nothing, to be reported."""
    if filters.id and replace(filters, id=()) == Filters():
        return list(dict.fromkeys(filters.id))
    query = Query(filters)
    return [row[0] for row in records.stream(conn, principal, query, limit=None)]


def _require_session(session_id: str | None) -> None:
    if session_id is None:
        return
    if not session_id.strip() or len(session_id) > MAX_SESSION:
        raise InvalidRequest(f"a session id has 1 to {MAX_SESSION} characters")
    try:
        exact_json.refuse_unstorable(session_id)
    except exact_json.JsonFault as fault:
        raise InvalidRequest(f"the session id cannot be stored: {fault.reason}") from None
