"""Which conflicts a call means: by their ids, by their records, by filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn
from uuid import UUID

from psycopg import Connection

from pfa_core.errors import (
    Fault,
    FaultCode,
    IllegalTransition,
    InvalidRequest,
    NotFound,
    VersionConflict,
)
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.store import conflicts
from pfa_core.store.conflicts import OPEN, ConflictRow
from pfa_core.store.reads import merged


@dataclass(frozen=True, slots=True)
class ConflictSelection:
    """Which open conflicts: by id (a record's id names its conflict), by the merged values of their
    records, or all of them. Selecting nothing is never taken to mean everything.

    Raises:
        InvalidRequest: None of the three, or more than one.
    """

    ids: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    everything: bool = False

    def __post_init__(self) -> None:
        Filters(id=self.ids)
        ways = bool(self.ids) + bool(self.filters.given()) + self.everything
        if ways != 1:
            problem = "contradict each other" if ways else "are missing: nothing is selected"
            raise InvalidRequest(
                f"ids, filters and --all {problem}", hint="name conflicts, give a filter or --all"
            )


def matching(
    conn: Connection[Any], owner: Principal, filters: Filters, status: str | None
) -> list[ConflictRow]:
    """The owner's conflicts on records that match, the newest first.

    State and session are those of the modification itself; it is pristine where it is gone.
    """
    found = conflicts.find(conn, owner, status=status)
    if not found or not filters.given():
        return found
    ids = _matching_ids(conn, owner, filters, {row.pfa_id for row in found})
    return [
        row
        for row in found
        if row.pfa_id in ids
        and (not filters.session or row.session_id in filters.session)
        and (not filters.state or (row.state or State.PRISTINE) in filters.state)
    ]


def one(conn: Connection[Any], owner: Principal, name: str) -> ConflictRow:
    """The owner's conflict of that id, or the only open one of the record of that id.

    Raises:
        NotFound: There is none, or there are several.
    """
    found = conflicts.find(conn, owner, names=[_canonical(name)])
    exact = [row for row in found if row.conflict_id == _canonical(name)]
    wanted = exact or [row for row in found if row.status == OPEN]
    if len(wanted) == 1:
        return wanted[0]
    if not wanted:
        _tell_lost(name, owner)
    raise NotFound(
        f"{name!r} has {len(wanted)} open conflicts",
        hint=f"name one: {', '.join(row.conflict_id for row in wanted)}",
    )


def choose(
    conn: Connection[Any], owner: Principal, selection: ConflictSelection
) -> list[ConflictRow]:
    """The owner's open conflicts that are selected, kept from being settled by another.

    Raises:
        NotFound: An id that is none, or filters that nothing matches.
        IllegalTransition: One is settled already.
    """
    if selection.ids:
        found = _named(conn, owner, selection.ids)
    else:
        found = matching(conn, owner, selection.filters, OPEN)
        if not found and not selection.everything:
            raise NotFound("no open conflict matches", hint="type: pfa conflict list")
    ids = [row.conflict_id for row in found]
    conflicts.hold(conn, owner, ids)
    held = conflicts.find(conn, owner, status=OPEN, names=ids)
    if len(held) != len(found):
        raise VersionConflict(
            "conflicts were settled meanwhile, nothing was done", hint="type: pfa conflict list"
        )
    return held


def _matching_ids(
    conn: Connection[Any], owner: Principal, filters: Filters, known: set[str]
) -> set[str]:
    ids = tuple(sorted(known & set(filters.id) if filters.id else known))
    query = Query(replace(filters, id=ids, state=(), session=()))
    return {row[0] for row in merged.stream(conn, owner, query, limit=None)} if ids else set()


def _named(conn: Connection[Any], owner: Principal, ids: Sequence[str]) -> list[ConflictRow]:
    found = conflicts.find(conn, owner, names=[_canonical(name) for name in ids])
    chosen: dict[str, ConflictRow] = {}
    for name in ids:
        exact = [row for row in found if row.conflict_id == _canonical(name)]
        known = exact or [row for row in found if row.pfa_id == name]
        still_open = [row for row in known if row.status == OPEN]
        if not known:
            _tell_lost(name, owner)
        if not still_open:
            raise IllegalTransition(
                f"the conflict {name!r} is settled already, by {known[0].resolved_by}",
                hint=f"type: pfa conflict show {known[0].conflict_id}",
            )
        chosen.update((row.conflict_id, row) for row in still_open)
    return list(chosen.values())


def _tell_lost(name: str, owner: Principal) -> NoReturn:
    raise NotFound(
        f"{owner.user_id} has no conflict {name!r}",
        hint="type: pfa conflict list --status all",
        details=[
            Fault(name, "", FaultCode.NOT_FOUND, "is no conflict, nor a record with an open one")
        ],
    )


def _canonical(name: str) -> str:
    """An id as PostgreSQL writes it, if it is a UUID."""
    try:
        return str(UUID(name.strip()))
    except ValueError:
        return name
