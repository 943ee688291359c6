"""Selections of the caller's modifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pfa_core.errors import Fault, FaultCode, InvalidRequest, NotFound
from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.modification import State
from pfa_core.model.query import Filters, Query, given_key, require_text
from pfa_core.operation import Tx
from pfa_core.store import mirror, modifications
from pfa_core.store.modifications import Mark, ModificationRow, Sent
from pfa_core.store.reads import merged
from pfa_core.store.suggestions import like_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The principal's modifications of a session, of records, of both, or all.

    `where` narrows to records of which an expression is true, and `filters` to those that match, as in every
    read; alone they are the selection. A session in `filters` is that of the modifications. `expected_versions`
    maps PFA ids to the draft version the caller has seen; with neither session nor ids it also is the selection.

    Raises:
        InvalidRequest: A text that cannot be stored, an expression that cannot be read, several sessions, or
            ids in `filters` too.
    """

    session_id: str | None = None
    ids: tuple[str, ...] = ()
    everything: bool = False
    expected_versions: Mapping[str, int] = field(default_factory=dict)
    where: str | None = None
    filters: Filters = field(default_factory=Filters)

    def __post_init__(self) -> None:
        require_text(self.session_id or "")
        Filters(where=self.where)  # refuses what cannot be read
        self._take_session()
        if self.ids and self.filters.id:
            raise InvalidRequest("`ids` and ids in the filters cannot be combined")
        versions = {given_key(one): version for one, version in self.expected_versions.items()}
        object.__setattr__(self, "ids", tuple(map(given_key, self.ids)))
        object.__setattr__(self, "expected_versions", versions)

    def _take_session(self) -> None:
        """Make the session of the filters the selection's own."""
        sessions = {*self.filters.session, *([self.session_id] if self.session_id else [])}
        if self.filters.session:
            if len(sessions) > 1:
                raise InvalidRequest("a selection is of one session, not of several")
            object.__setattr__(self, "session_id", self.filters.session[0])
            object.__setattr__(self, "filters", replace(self.filters, session=()))

    @property
    def empty(self) -> bool:
        """Return whether it selects nothing: that never means everything."""
        named = self.session_id is not None or bool(self.ids) or self.narrows
        return not named and not self.everything

    @property
    def narrows(self) -> bool:
        """Return whether it looks at values of records."""
        return self.where is not None or bool(self.filters.given())

    @property
    def matching(self) -> Filters:
        """The filters that say which records it is about."""
        both = [text for text in (self.filters.where, self.where) if text is not None]
        where = " and ".join(f"({text})" for text in both) if len(both) > 1 else None
        ids = self.ids or self.filters.id
        return replace(self.filters, where=where or next(iter(both), None), id=ids)


def require_selection(selection: Selection, **_: object) -> None:
    """Refuse a selection that selects nothing.

    Raises:
        InvalidRequest: It does.
    """
    if selection.empty and not selection.expected_versions:
        raise InvalidRequest(
            "nothing selected", hint="give `session_id`, `ids`, `where` or `everything`"
        )


def select_drafts(tx: Tx, selection: Selection) -> list[Mark]:
    """Read the ids and versions of the selected drafts, in PFA id order."""
    return modifications.drafts(
        tx.conn, tx.principal, session_id=selection.session_id, ids=record_ids(tx, selection)
    )


def select_committed(tx: Tx, selection: Selection) -> list[Sent]:
    """Lock the selected committed changes, in PFA id order.

    Those that PEMS rejected for good are among them.
    """
    return modifications.committed(
        tx.conn, tx.principal, session_id=selection.session_id, ids=record_ids(tx, selection)
    )


def is_synced(states: Mapping[str, int]) -> bool:
    """Return whether everything in a session has been pushed, by its counts per state."""
    return states.keys() == {State.SYNCED}


def modification_ids(rows: Sequence[Mark | Sent | ModificationRow]) -> list[ModificationId]:
    """Return the ids of the modifications, in their order."""
    return [row.modification_id for row in rows]


def describe(selection: Selection) -> str:
    """Describe the selection as the end of a message."""
    parts = []
    if selection.session_id:
        parts.append(f"in session {selection.session_id!r}")
    if selection.filters.given() not in ([], ["where"]):
        parts.append("that match the filters")
    elif selection.matching.where:
        parts.append("that match `where`")
    if selection.ids:
        parts.append(f"on {', '.join(selection.ids[:3])}{' …' if len(selection.ids) > 3 else ''}")
    return " ".join(parts) or "in this organization"


def record_ids(tx: Tx, selection: Selection) -> list[PfaId] | None:
    """Return the PFA ids that narrow the selection, None where none do.

    Given ids must exist: a typo must not pass for "nothing to do".

    Raises:
        NotFound: One does not.
        PermissionDenied: An expression over money, which the caller may not see.
    """
    ids = [PfaId(pfa_id) for pfa_id in selection.ids]
    if ids:
        _require_records(tx, ids)
    if selection.narrows:
        filters = tx.asked(replace(selection.matching, changed=True))
        found = merged.stream(tx.conn, tx.principal, Query(filters), limit=None)
        return [row[0] for row in found]
    if ids:
        return ids
    by_version = not selection.session_id and not selection.everything
    return ([PfaId(one) for one in selection.expected_versions] or None) if by_version else None


def _require_records(tx: Tx, ids: Sequence[PfaId]) -> None:
    known = mirror.known(tx.conn, tx.organization_id, ids)
    message = f"not found in {tx.organization_id}"
    lost = [
        Fault(pfa_id, "", FaultCode.NOT_FOUND, message) for pfa_id in ids if pfa_id not in known
    ]
    if lost:
        like = like_record(tx.conn, tx.principal, lost[0].pfa_id)
        raise NotFound(f"{lost[0].pfa_id!r} {message}, nothing was done{like}", details=lost)
