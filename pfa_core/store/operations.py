"""The caller's local operations in the trail, and the writes that take them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection, capabilities
from psycopg.rows import args_row, class_row

from pfa_core import sql
from pfa_core.model.audit import Action
from pfa_core.model.ids import EntryId, ModificationId, PfaId, SessionId
from pfa_core.model.modification import State
from pfa_core.model.operations import LOCAL_ACTIONS, Step
from pfa_core.model.principal import Principal
from pfa_core.store.adapters import typed_row
from pfa_core.store.modifications import of_caller
from pfa_core.store.portions import PORTION

_SQL = sql.statements("operations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an operation did with how many records.

    `sent`: of how many of its modifications a push has tried to send something, by now. `in_pems`: the sessions
    of those that PEMS has taken, at most three.
    """

    number: int
    at: datetime
    records: int
    drafted: int
    changed: int
    ended: int
    sessions: Sequence[SessionId]
    pfa_id: PfaId | None
    sent: int
    in_pems: Sequence[SessionId] | None


class EntryMark(NamedTuple):
    """An entry without its content."""

    entry_id: EntryId
    pfa_id: PfaId


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryContent:
    """What an entry keeps of a modification; `at` is when, by the database's clock."""

    entry_id: EntryId
    action: Action
    pfa_id: PfaId
    modification_id: ModificationId
    session_id: SessionId
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    base: dict[str, Any] | None
    was: dict[str, Any] | None
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """An active modification, locked.

    `was` is what an entry keeps of it beside delta and base.
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
    attempts: int
    sent: bool
    was: dict[str, Any]


def latest(
    conn: Connection[Any], principal: Principal, limit: int, *, after: int = 0
) -> tuple[list[Step], bool]:
    """List the principal's latest local operations, the latest first.

    The second value is whether these are all.

    Args:
        limit: The maximum number of entries that are looked at, one or a few of each operation.
        after: The last number that is archived: of those some are in the database still, which are not all.
    """
    values = {**_local(principal), "limit": limit}
    rows = conn.execute(_SQL["latest"], values).fetchall()
    steps = {step.number: step for step in map(_step, rows) if step.number > after}
    return [steps[number] for number in sorted(steps, reverse=True)], len(rows) < limit


def step(conn: Connection[Any], principal: Principal, number: int) -> Step | None:
    """Read a local operation of the principal by its number."""
    values = {**_local(principal), "number": number}
    row = conn.execute(_SQL["step"], values).fetchone()
    return _step(row) if row else None


def is_undone(conn: Connection[Any], principal: Principal, number: int) -> bool:
    """Return whether the operation is taken back."""
    row = conn.execute(_SQL["undone"], {**of_caller(principal), "number": number}).fetchone()
    return bool(row and row[0])


def facts(conn: Connection[Any], principal: Principal, numbers: Sequence[int]) -> dict[int, Facts]:
    """Read what operations did, by their numbers."""
    values = {**of_caller(principal), "numbers": list(numbers)}
    with conn.cursor(row_factory=class_row(Facts)) as cursor:
        return {row.number: row for row in cursor.execute(_SQL["facts"], values)}


def entries(conn: Connection[Any], principal: Principal, number: int) -> list[EntryMark]:
    """List the entries of an operation, in PFA id order."""
    # Row by row: libpq's result of hundreds of thousands would be in memory beside them.
    size = PORTION if capabilities.has_stream_chunked() else 1
    with conn.cursor(row_factory=args_row(EntryMark)) as cursor:
        values = {**of_caller(principal), "number": number}
        return list(cursor.stream(_SQL["entries"], values, size=size))


def contents(
    conn: Connection[Any], principal: Principal, entry_ids: Sequence[EntryId]
) -> list[EntryContent]:
    """Read the principal's entries, in PFA id order."""
    values = {**of_caller(principal), "entry_ids": list(entry_ids)}
    with conn.cursor(row_factory=typed_row(EntryContent)) as cursor:
        return cursor.execute(_SQL["contents"], values).fetchall()


def later(
    conn: Connection[Any], principal: Principal, ids: Sequence[PfaId], number: int
) -> dict[PfaId, list[Step]]:
    """List the principal's local operations on records after one, by record, in order."""
    found: dict[PfaId, list[Step]] = {}
    values = {**_local(principal), "ids": list(ids), "number": number}
    for pfa_id, *rest in conn.execute(_SQL["later"], values):
        steps, one = found.setdefault(pfa_id, []), _step(rest)
        if not steps or steps[-1].number != one.number:
            steps.append(one)
    return found


def rows(
    conn: Connection[Any], principal: Principal, ids: Sequence[PfaId]
) -> dict[PfaId, list[HeldRow]]:
    """Lock the principal's active modifications of records, by record, the draft last."""
    found: dict[PfaId, list[HeldRow]] = {}
    values = {**of_caller(principal), "ids": list(ids)}
    with conn.cursor(row_factory=typed_row(HeldRow)) as cursor:
        for row in cursor.execute(_SQL["rows"], values):
            found.setdefault(row.pfa_id, []).append(row)
    return found


def synced(
    conn: Connection[Any], principal: Principal, ids: Collection[ModificationId]
) -> set[ModificationId]:
    """Select the modifications that PEMS has taken."""
    if not ids:
        return set()
    values = {**of_caller(principal), "modification_ids": sorted(ids)}
    return {row[0] for row in conn.execute(_SQL["synced"], values)}


def _local(principal: Principal) -> Mapping[str, Any]:
    return {**of_caller(principal), "actions": [str(one) for one in LOCAL_ACTIONS]}


def _step(row: Iterable[Any]) -> Step:
    number, action, target, again = row
    return Step(number=number, action=Action(action), target=target, again=again)
