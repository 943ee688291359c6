"""The modifications that a call selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from pfa_core.errors import (
    Fault,
    FaultCode,
    InvalidRequest,
    NotFound,
)
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import Mark, ModificationRow


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the principal's modifications: of a session, of records, both, or everything.

    `expected_versions` maps PFA ids to the draft version the caller has seen; with neither session
    nor ids it also is the selection.
    """

    session_id: str | None = None
    ids: tuple[str, ...] = ()
    everything: bool = False
    expected_versions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Filters(
            id=(*self.ids, *self.expected_versions),
            session=(self.session_id,) if self.session_id else (),
        )

    @property
    def empty(self) -> bool:
        """Whether it selects nothing: never taken to mean everything."""
        return self.session_id is None and not self.ids and not self.everything


def select_rows(
    conn: Connection[Any], principal: Principal, state: State, selection: Selection
) -> list[ModificationRow]:
    """Read the selected modifications in a state, rejected ones among the committed."""
    return modifications.select(
        conn, principal, state, dead=True, **chosen(conn, principal, selection)
    )


def chosen(conn: Connection[Any], principal: Principal, selection: Selection) -> dict[str, Any]:
    """The selection as the store takes it."""
    by_version = not selection.session_id and not selection.everything
    _require_records(conn, principal, selection.ids)
    ids = list(selection.ids) or (list(selection.expected_versions) if by_version else None) or None
    return {"session_id": selection.session_id, "ids": ids}


def _require_records(conn: Connection[Any], principal: Principal, ids: Sequence[str]) -> None:
    """Ids named outright must exist: a typo must not pass for "nothing to do"."""
    known = mirror.lock_records(conn, principal.organization_id, ids) if ids else {}
    lost = [pfa_id for pfa_id in ids if pfa_id not in known]
    if lost:
        code = principal.organization_id
        raise NotFound(
            f"{lost[0]!r} is no record of {code}, nothing was done",
            details=[
                Fault(pfa_id, "", FaultCode.NOT_FOUND, f"is no record of {code}") for pfa_id in lost
            ],
        )


def require_selection(selection: Selection) -> None:
    """Refuse a selection that selects nothing.

    Raises:
        InvalidRequest: It does.
    """
    if selection.empty and not selection.expected_versions:
        raise InvalidRequest("nothing is selected", hint="give --session S, --id ID or --all")


def all_in_pems(states: Mapping[str, int]) -> bool:
    """Whether all that there is of a session has been pushed."""
    return states.keys() == {State.SYNCED}


def modification_ids(rows: Sequence[Mark | ModificationRow]) -> list[str]:
    """Return the ids of the modifications, in their order."""
    return [row.modification_id for row in rows]


def describe(selection: Selection) -> str:
    """Describe the selection as the end of a message."""
    parts = []
    if selection.session_id:
        parts.append(f"in session {selection.session_id!r}")
    if selection.ids:
        parts.append(f"on {', '.join(selection.ids[:3])}{' …' if len(selection.ids) > 3 else ''}")
    return " ".join(parts) or "in this organization"
