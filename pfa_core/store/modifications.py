"""Modifications of users."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, Protocol

from psycopg import Connection, capabilities
from psycopg.rows import args_row

from pfa_core import sql
from pfa_core.model.delta import Delta, Record, over_own_sends, three_way
from pfa_core.model.ids import ModificationId, PfaId, SessionId
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.ordering import SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.record import in_field_order
from pfa_core.store.adapters import typed_row
from pfa_core.store.ordering import By, order_by
from pfa_core.store.portions import PORTION

_SQL = sql.statements("modifications")
_ORDERS = {
    "pfaId": By("pfa_id"),
    "sessionId": By('session_id COLLATE "C"'),
    "state": By('state COLLATE "C"'),
    "version": By("version"),
    "createdAt": By("created_at"),
    "updatedAt": By("updated_at"),
    "committedAt": By("committed_at", nullable=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModificationRow:
    """A modification as stored.

    `base` has the mirror's value of each drafted field; `attempts` counts the claims by a push, `generation`
    is raised when a key of idempotency is used up; `sent`: PEMS may hold it, although that is not recorded yet.
    """

    modification_id: ModificationId
    pfa_id: PfaId
    session_id: SessionId
    state: State
    delta: dict[str, Any]
    base: dict[str, Any]
    base_version: int
    version: int
    change_reason: str | None
    created_at: datetime
    updated_at: datetime
    committed_at: datetime | None
    attempts: int = 0
    generation: int = 0
    sent: bool = False


class Mark(NamedTuple):
    """A draft without its content."""

    modification_id: ModificationId
    pfa_id: PfaId
    version: int


class Synced(NamedTuple):
    """When PEMS took a modification, and what it changed."""

    at: datetime
    delta: dict[str, Any]


class Sent(NamedTuple):
    """A committed change without its content; `sent`: a push has tried to send it."""

    modification_id: ModificationId
    pfa_id: PfaId
    version: int
    sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session's modifications in one state.

    `retrying` of them wait for an automatic retry.
    """

    session_id: SessionId
    state: State
    records: int
    last_change: datetime
    retrying: int


class HasData(Protocol):
    """A mirror row."""

    @property
    def data(self) -> Record:
        """Return the record."""
        ...


def with_own_bases(
    rows: Iterable[ModificationRow], mirror: Mapping[PfaId, HasData]
) -> Iterator[ModificationRow]:
    """Yield one user's modifications over the bases to compare with PEMS.

    What PEMS holds because of earlier ones of the user, sent and not acknowledged yet, does not count as a
    change by PEMS.

    Args:
        rows: The modifications of each record together, in the order of `active`.
        mirror: Their mirror rows.
    """
    sent: list[Delta] = []
    last = ""
    for row in rows:
        if row.pfa_id != last:
            sent, last = [], row.pfa_id
        if sent:
            row = replace(row, base=over_own_sends(row.base, mirror[row.pfa_id].data, sent))
        yield row
        if row.sent:
            sent.append(row.delta)


def view(row: ModificationRow, baseline: Record) -> ModificationView:
    """Show a stored modification beside the mirror's present values."""
    return ModificationView(
        modification_id=row.modification_id,
        pfa_id=row.pfa_id,
        session_id=row.session_id,
        state=row.state,
        version=row.version,
        delta=in_field_order(row.delta),
        base=in_field_order(row.base),
        change_reason=row.change_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
        committed_at=row.committed_at,
        overtaken=tuple(three_way(row.base, row.delta, baseline)),
    )


def by_record(rows: Iterable[ModificationRow]) -> dict[PfaId, list[ModificationRow]]:
    """Group modifications by record, in the order given."""
    stacks: dict[PfaId, list[ModificationRow]] = {}
    for row in rows:
        stacks.setdefault(row.pfa_id, []).append(row)
    return stacks


def hold(conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]) -> set[PfaId]:
    """Lock the same as `of_records`; return the records that have any."""
    size = PORTION if capabilities.has_stream_chunked() else 1
    with conn.cursor() as cursor:
        values = {**of_caller(principal), "ids": list(ids)}
        found = (row[0] for row in cursor.stream(_SQL["hold"], values, size=size))
        return set(_same(found, ids))


def _same(found: Iterable[str], ids: Sequence[PfaId]) -> Iterator[PfaId]:
    """Yield the ids that were found, not copies of them; both are sorted."""
    rest, last = iter(ids), ""
    for one in found:
        if one != last:
            last = one
            yield next(known for known in rest if known >= one)


def of_records(
    conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]
) -> list[ModificationRow]:
    """Lock the principal's active modifications of the records.

    Returns:
        The modifications, by record, the draft last.
    """
    statement = _SQL.for_ids("of_records", ids)
    return _rows(conn, statement, principal, ids=list(ids))


def active(
    conn: Connection[Any], principal: Principal, ids: Sequence[PfaId] | None = None
) -> list[ModificationRow]:
    """List the same without locks; of all records where ids are None."""
    if ids is not None and not ids:
        return []
    statement = _SQL.for_ids("active", ids or ())
    return _rows(conn, statement, principal, ids=None if ids is None else list(ids))


def in_order(
    conn: Connection[Any],
    principal: Principal,
    keys: Sequence[SortKey],
    *,
    states: Sequence[str],
    sessions: Sequence[str] = (),
) -> Generator[tuple[ModificationId, PfaId], None, None]:
    """Stream the ids of the principal's modifications and their records in an order.

    Args:
        sessions: Only of these; any where there are none.
    """
    values = {**of_caller(principal), "states": list(states), "sessions": list(sessions) or None}
    with conn.cursor(name="pfa_modifications") as cursor:
        cursor.itersize = PORTION
        yield from cursor.execute(_SQL["in_order"].format(order=order(keys)), values)


def order(keys: Sequence[SortKey]) -> LiteralString:
    """Compose the order of modifications by sort keys."""
    return order_by(keys, _ORDERS, "modification_id")


def stale(conn: Connection[Any], principal: Principal) -> list[ModificationRow]:
    """List the principal's stale active modifications.

    Their mirror rows changed since they were drafted.
    """
    return _rows(conn, _SQL["stale"], principal)


def committed(
    conn: Connection[Any],
    principal: Principal,
    *,
    session_id: str | None = None,
    ids: Sequence[PfaId] | None = None,
) -> list[Sent]:
    """Lock the principal's committed changes, in PFA id order.

    Those that PEMS rejected finally and certainly did not accept are among them.
    """
    values = {"session_id": session_id, "ids": None if ids is None else list(ids)}
    statement = _selecting("committed", session_id, ids)
    # Row by row: libpq's result of hundreds of thousands would be in memory beside them.
    size = PORTION if capabilities.has_stream_chunked() else 1
    with conn.cursor(row_factory=args_row(Sent)) as cursor:
        return list(cursor.stream(statement, {**of_caller(principal), **values}, size=size))


def by_id(
    conn: Connection[Any], principal: Principal, modification_ids: Sequence[ModificationId]
) -> list[ModificationRow]:
    """List the principal's modifications of these ids, in PFA id order."""
    if not modification_ids:
        return []
    statement = _SQL.for_ids("by_id", modification_ids)
    return _rows(conn, statement, principal, modification_ids=list(modification_ids))


def drafts(
    conn: Connection[Any],
    principal: Principal,
    *,
    session_id: str | None = None,
    ids: Sequence[PfaId] | None = None,
) -> list[Mark]:
    """List the principal's drafts, in PFA id order."""
    values = {
        **of_caller(principal),
        "session_id": session_id,
        "ids": None if ids is None else list(ids),
    }
    statement = _selecting("drafts", session_id, ids)
    with conn.cursor(row_factory=args_row(Mark)) as cursor:
        if ids is None and capabilities.has_stream_chunked():
            # As in `committed`.
            return list(cursor.stream(statement, values, size=PORTION))
        return cursor.execute(statement, values).fetchall()


def outdated(
    conn: Connection[Any], principal: Principal, drafts: Sequence[Mark]
) -> set[ModificationId]:
    """Select the drafts that are not up to date.

    One is that is its record's only modification, and whose mirror row is unchanged.
    """
    values = {
        **of_caller(principal),
        "ids": [draft.pfa_id for draft in drafts],
        "modification_ids": [draft.modification_id for draft in drafts],
    }
    return {row[0] for row in conn.execute(_SQL.for_ids("outdated", drafts), values)}


def synced_of(
    conn: Connection[Any], principal: Principal, modification_ids: Sequence[ModificationId]
) -> dict[PfaId, list[Synced]]:
    """List those of the modifications that PEMS has taken, by record, in order."""
    found: dict[PfaId, list[Synced]] = {}
    if modification_ids:
        values = {**of_caller(principal), "modification_ids": list(modification_ids)}
        statement = _SQL.for_ids("synced_of", modification_ids)
        for pfa_id, at, delta in conn.execute(statement, values):
            found.setdefault(pfa_id, []).append(Synced(at, delta))
    return found


def fields_of(
    conn: Connection[Any], principal: Principal, modification_ids: Sequence[ModificationId]
) -> list[str]:
    """List the fields that these modifications of the principal change."""
    values = {**of_caller(principal), "modification_ids": list(modification_ids)}
    return [row[0] for row in conn.execute(_SQL["fields_of"], values)]


def states_of_session(
    conn: Connection[Any], principal: Principal, session_id: str
) -> dict[str, int]:
    """Count the session's modifications by state, synced ones too."""
    values = {**of_caller(principal), "session_id": session_id}
    return dict(conn.execute(_SQL["states_of_session"], values).fetchall())


def sessions(conn: Connection[Any], principal: Principal) -> list[SessionRow]:
    """List the principal's active sessions by state, the latest change first."""
    with conn.cursor(row_factory=typed_row(SessionRow)) as cursor:
        return cursor.execute(_SQL["sessions"], of_caller(principal)).fetchall()


def _rows(
    conn: Connection[Any], statement: LiteralString, principal: Principal, **values: Any
) -> list[ModificationRow]:
    with conn.cursor(row_factory=typed_row(ModificationRow)) as cursor:
        return cursor.execute(statement, {**of_caller(principal), **values}).fetchall()


def _selecting(name: str, session_id: str | None, ids: Sequence[PfaId] | None) -> LiteralString:
    """Compose a statement with only the conditions that are asked for.

    A condition that may hold for all rows makes the planner plan the statement anew each time, a quarter of
    a single commit.
    """
    of_session = "" if session_id is None else _SQL["of_session"]
    among = "" if ids is None else _SQL.for_ids("among", ids)
    return _SQL[name].format(of_session=of_session, among=among)


def of_caller(principal: Principal) -> dict[str, Any]:
    """Make the parameters that name a principal."""
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
