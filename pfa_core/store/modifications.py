"""Modifications and the overlay that is kept from them: a function for each statement, so a long file, and
one room, since whoever changes a modification puts its overlay right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection
from psycopg.rows import args_row, class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.errors import VersionConflict
from pfa_core.model.delta import Record, three_way
from pfa_core.model.modification import ModificationView
from pfa_core.model.principal import Principal
from pfa_core.store.adapters import plain

_SQL = sql.statements("modifications")


@dataclass(frozen=True, slots=True)
class ModificationRow:
    """A modification as stored; `base` holds the mirror's value of each drafted field, `attempts` how
    often it was claimed by a push."""

    modification_id: str
    pfa_id: str
    session_id: str
    state: str
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int
    version: int
    change_reason: str | None
    created_at: datetime
    updated_at: datetime
    committed_at: datetime | None
    attempts: int = 0


class Mark(NamedTuple):
    """A draft, without what it says."""

    modification_id: str
    pfa_id: str
    version: int


@dataclass(frozen=True, slots=True)
class NewDraft:
    """A draft to insert."""

    modification_id: str
    pfa_id: str
    session_id: str
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int
    change_reason: str | None


@dataclass(frozen=True, slots=True)
class DraftUpdate:
    """A draft's new content, over the version that was read."""

    modification_id: str
    session_id: str
    delta: dict[str, Any]
    base: dict[str, Any]
    change_reason: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Commitment:
    """A draft to commit, over the version that was read."""

    modification_id: str
    delta: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """How many of a session's modifications are in one state; `retrying` of them are sent again by
    themselves."""

    session_id: str
    state: str
    records: int
    last_change: datetime
    retrying: int


def view(row: ModificationRow, baseline: Record) -> ModificationView:
    """A stored modification as it is shown, beside the mirror's present values."""
    return ModificationView(
        modification_id=row.modification_id,
        pfa_id=row.pfa_id,
        session_id=row.session_id,
        state=row.state,
        version=row.version,
        delta=row.delta,
        base=row.base,
        change_reason=row.change_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
        committed_at=row.committed_at,
        overtaken=tuple(three_way(row.base, row.delta, baseline)),
    )


def by_record(rows: Iterable[ModificationRow]) -> dict[str, list[ModificationRow]]:
    """The modifications of each record, in the order given."""
    stacks: dict[str, list[ModificationRow]] = {}
    for row in rows:
        stacks.setdefault(row.pfa_id, []).append(row)
    return stacks


def of_records(
    conn: Connection[Any], principal: Principal, ids: Sequence[str]
) -> list[ModificationRow]:
    """The principal's living modifications of the records, locked; by record, the draft last."""
    statement = _SQL.for_ids("of_records", ids)
    return _rows(conn, statement, principal, ids=list(ids))


def active(
    conn: Connection[Any], principal: Principal, ids: Sequence[str] | None = None
) -> list[ModificationRow]:
    """The same without locks; of all records where ids are None."""
    if ids is not None and not ids:
        return []
    statement = _SQL.for_ids("active", ids or ())
    return _rows(conn, statement, principal, ids=None if ids is None else list(ids))


def stale(conn: Connection[Any], principal: Principal) -> list[ModificationRow]:
    """The principal's living modifications whose mirror row changed since they were drafted."""
    return _rows(conn, _SQL["stale"], principal)


def select(
    conn: Connection[Any],
    principal: Principal,
    state: str,
    *,
    session_id: str | None = None,
    ids: Sequence[str] | None = None,
    dead: bool = False,
) -> list[ModificationRow]:
    """The principal's modifications in one state, locked, in PFA id order; `dead`: also what PEMS
    refused for good and surely has not."""
    values = {
        "state": state,
        "session_id": session_id,
        "ids": None if ids is None else list(ids),
        "dead": dead,
    }
    with conn.cursor(row_factory=class_row(ModificationRow)) as cursor:
        statement = _selecting("select_for_change", session_id, ids)
        return cursor.execute(statement, {**_own(principal), **values}).fetchall()


def by_id(
    conn: Connection[Any], principal: Principal, modification_ids: Sequence[str]
) -> list[ModificationRow]:
    """The principal's modifications of these ids, in PFA id order."""
    if not modification_ids:
        return []
    statement = _SQL.for_ids("by_id", modification_ids)
    return _rows(conn, statement, principal, modification_ids=list(modification_ids))


def drafts(
    conn: Connection[Any],
    principal: Principal,
    *,
    session_id: str | None = None,
    ids: Sequence[str] | None = None,
) -> list[Mark]:
    """The principal's drafts, in PFA id order."""
    values = {
        **_own(principal),
        "session_id": session_id,
        "ids": None if ids is None else list(ids),
    }
    with conn.cursor(row_factory=args_row(Mark)) as cursor:
        return cursor.execute(_selecting("drafts", session_id, ids), values).fetchall()


def up_to_date(conn: Connection[Any], principal: Principal, drafts: Sequence[Mark]) -> set[str]:
    """The modification ids of those drafts that lie alone over a mirror row that has not changed since."""
    values = {
        **_own(principal),
        "ids": [draft.pfa_id for draft in drafts],
        "modification_ids": [draft.modification_id for draft in drafts],
    }
    return {row[0] for row in conn.execute(_SQL.for_ids("up_to_date", drafts), values)}


def fields_of(
    conn: Connection[Any], principal: Principal, modification_ids: Sequence[str]
) -> list[str]:
    """The names of the fields that these modifications of the principal's change."""
    values = {**_own(principal), "modification_ids": list(modification_ids)}
    return [row[0] for row in conn.execute(_SQL["fields_of"], values)]


def states_of_session(
    conn: Connection[Any], principal: Principal, session_id: str
) -> dict[str, int]:
    """How many of the session's modifications are in which state, synced ones too."""
    values = {**_own(principal), "session_id": session_id}
    return dict(conn.execute(_SQL["states_of_session"], values).fetchall())


def sessions(conn: Connection[Any], principal: Principal) -> list[SessionRow]:
    """The principal's living sessions by state, the latest change first."""
    with conn.cursor(row_factory=class_row(SessionRow)) as cursor:
        return cursor.execute(_SQL["sessions"], _own(principal)).fetchall()


def insert_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[NewDraft], at: datetime
) -> None:
    """Store new drafts; the caller has seen that the records have none."""
    if drafts:
        rows = Jsonb([plain(draft) for draft in drafts])
        conn.execute(_SQL["insert_drafts"], {**_own(principal), "drafts": rows, "at": at})


def update_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[DraftUpdate], at: datetime
) -> None:
    """Store the drafts' new contents, each version raised by one."""
    _write(conn, "update_drafts", principal, drafts, at)


def delete_drafts(conn: Connection[Any], principal: Principal, ids: Sequence[str]) -> None:
    """Drop drafts by modification id."""
    if ids:
        values = {**_own(principal), "modification_ids": list(ids)}
        _all_of(len(ids), conn.execute(_SQL.for_ids("delete_drafts", ids), values).rowcount)


def commit_drafts(
    conn: Connection[Any], principal: Principal, drafts: Sequence[Commitment], at: datetime
) -> None:
    """Drafts → committed, each version raised by one."""
    _write(conn, "commit_drafts", principal, drafts, at)


def commit_up_to_date(
    conn: Connection[Any], principal: Principal, drafts: Sequence[Mark], at: datetime
) -> None:
    """Drafts → committed as they are, each version raised by one."""
    if drafts:
        ids = [draft.modification_id for draft in drafts]
        values = {**_own(principal), "modification_ids": ids, "at": at}
        statement = _SQL.for_ids("commit_up_to_date", drafts)
        _all_of(len(drafts), conn.execute(statement, values).rowcount)


def uncommit(conn: Connection[Any], principal: Principal, ids: Sequence[str], at: datetime) -> None:
    """Committed → draft by modification id, each version raised by one."""
    if ids:
        values = {**_own(principal), "modification_ids": list(ids), "at": at}
        _all_of(len(ids), conn.execute(_SQL.for_ids("uncommit", ids), values).rowcount)


def _write(
    conn: Connection[Any],
    name: str,
    principal: Principal,
    drafts: Sequence[DraftUpdate | Commitment],
    at: datetime,
) -> None:
    """Change drafts that are there; their ids apart, so that each is looked up."""
    if drafts:
        values = {
            **_own(principal),
            "drafts": Jsonb([plain(draft) for draft in drafts]),
            "modification_ids": [draft.modification_id for draft in drafts],
            "at": at,
        }
        _all_of(len(drafts), conn.execute(_SQL.for_ids(name, drafts), values).rowcount)


def _all_of(expected: int, changed: int) -> None:
    if changed != expected:
        raise VersionConflict(
            f"{expected - changed} of {expected} drafts changed meanwhile; nothing was done",
            hint="type: pfa status, then repeat the command",
        )


def _rows(
    conn: Connection[Any], statement: LiteralString, principal: Principal, **values: Any
) -> list[ModificationRow]:
    with conn.cursor(row_factory=class_row(ModificationRow)) as cursor:
        return cursor.execute(statement, {**_own(principal), **values}).fetchall()


def _selecting(name: str, session_id: str | None, ids: Sequence[str] | None) -> LiteralString:
    """The statement with those conditions alone that are asked for: a planner that cannot tell whether one
    holds for all plans it anew every time, which is a quarter of a single commit."""
    of_session = "" if session_id is None else _SQL["of_session"]
    among = "" if ids is None else _SQL.for_ids("among", ids)
    return _SQL[name].format(of_session=of_session, among=among)


def _own(principal: Principal) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
