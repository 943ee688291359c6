"""Selections of conflicts: by their ids, by their records, by filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
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
from pfa_core.model.decision import ConflictStatus
from pfa_core.model.modification import State
from pfa_core.model.ordering import SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, given_key, require_text
from pfa_core.store import conflicts
from pfa_core.store.conflicts import ConflictRow
from pfa_core.store.reads import merged


@dataclass(frozen=True, slots=True)
class ConflictSelection:
    """Open conflicts: by id, by the merged values of their records, or all of them.

    A record's id selects the open conflicts of the record. Selecting nothing never means everything.

    Raises:
        InvalidRequest: None of the three, or more than one.
    """

    ids: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    everything: bool = False

    def __post_init__(self) -> None:
        for name in self.ids:
            require_text(name)
        ways = bool(self.ids) + bool(self.filters.given()) + self.everything
        if ways != 1:
            problem = "`ids`, filters and `everything` exclude each other"
            raise InvalidRequest(
                problem if ways else "nothing selected", hint="give `ids`, a filter or `everything`"
            )


def matching(
    conn: Connection[Any],
    owner: Principal,
    filters: Filters,
    status: ConflictStatus | None,
    *,
    keys: Sequence[SortKey] = (),
    limit: int | None = None,
) -> list[ConflictRow]:
    """Return the owner's conflicts on records that match.

    The newest come first unless keys say otherwise. State
    and session are those of the modification itself; a deleted one is pristine.
    """
    if not filters.given():
        return conflicts.find(conn, owner, status=status, keys=keys, limit=limit)
    found = conflicts.find(conn, owner, status=status, keys=keys)
    ids = _matching_ids(conn, owner, filters, {row.pfa_id for row in found})
    matching = (
        row
        for row in found
        if row.pfa_id in ids
        and (not filters.session or row.session_id in filters.session)
        and (not filters.state or (row.state or State.PRISTINE) in filters.state)
    )
    return list(islice(matching, limit))


def one(conn: Connection[Any], owner: Principal, name: str) -> ConflictRow:
    """Return the owner's conflict of an id, or the only open one of a record.

    Raises:
        NotFound: There is none, or there are several.
    """
    found = conflicts.find(conn, owner, names=[_canonical(name)])
    exact = [row for row in found if row.conflict_id == _canonical(name)]
    wanted = exact or [row for row in found if row.status == ConflictStatus.OPEN]
    if len(wanted) == 1:
        return wanted[0]
    if not wanted:
        _raise_unknown(name, owner)
    raise NotFound(
        f"{name!r} has {len(wanted)} open conflicts",
        hint=f"give one: {', '.join(row.conflict_id for row in wanted)}",
    )


def choose(
    conn: Connection[Any], owner: Principal, selection: ConflictSelection
) -> list[ConflictRow]:
    """Return the selected open conflicts, locked against another resolution.

    Raises:
        NotFound: An unknown id, or filters that nothing matches.
        IllegalTransition: One is resolved already.
    """
    if selection.ids:
        found = _named(conn, owner, selection.ids)
    else:
        found = matching(conn, owner, selection.filters, ConflictStatus.OPEN)
        if not found and not selection.everything:
            raise NotFound("no open conflict matches", hint="type: pfa conflict list")
    ids = [row.conflict_id for row in found]
    conflicts.hold(conn, owner, ids)
    held = conflicts.find(conn, owner, status=ConflictStatus.OPEN, names=ids)
    if len(held) != len(found):
        raise VersionConflict(
            "conflicts were resolved meanwhile, nothing was changed", hint="type: pfa conflict list"
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
        known = exact or [row for row in found if row.pfa_id == _canonical(name)]
        still_open = [row for row in known if row.status == ConflictStatus.OPEN]
        if not known:
            _raise_unknown(name, owner)
        if not still_open:
            raise IllegalTransition(
                f"conflict {name!r} is resolved already, by {known[0].resolved_by}",
                hint=f"type: pfa conflict show {known[0].conflict_id}",
            )
        chosen.update((row.conflict_id, row) for row in still_open)
    return list(chosen.values())


def _raise_unknown(name: str, owner: Principal) -> NoReturn:
    raise NotFound(
        f"{owner.user_id} has no conflict {name!r}",
        hint="type: pfa conflict list --status all",
        details=[
            Fault(name, "", FaultCode.NOT_FOUND, "not a conflict, nor a record with an open one")
        ],
    )


def _canonical(name: str) -> str:
    """Return an id in the form of the database: a UUID in lower case, else a key."""
    try:
        return str(UUID(name.strip()))
    except ValueError:
        return given_key(name)
