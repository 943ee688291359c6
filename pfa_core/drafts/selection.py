"""Selections of the caller's modifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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

    `where` narrows to records of which an expression is true, as in `Filters`; alone it is the selection.
    `expected_versions` maps PFA ids to the draft version the caller has seen; with neither session
    nor ids it also is the selection.

    Raises:
        InvalidRequest: A text that cannot be stored, an expression that cannot be read.
    """

    session_id: str | None = None
    ids: tuple[str, ...] = ()
    everything: bool = False
    expected_versions: Mapping[str, int] = field(default_factory=dict)
    where: str | None = None

    def __post_init__(self) -> None:
        require_text(self.session_id or "")
        Filters(where=self.where)  # refuses what cannot be read
        versions = {given_key(one): version for one, version in self.expected_versions.items()}
        object.__setattr__(self, "ids", tuple(map(given_key, self.ids)))
        object.__setattr__(self, "expected_versions", versions)

    @property
    def empty(self) -> bool:
        """Return whether it selects nothing: that never means everything."""
        named = self.session_id is not None or bool(self.ids) or self.where is not None
        return not named and not self.everything


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
    if selection.where:
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
    if selection.where:
        filters = tx.asked(Filters(where=selection.where, id=selection.ids, changed=True))
        found = merged.stream(tx.conn, tx.principal, Query(filters), limit=None)
        return [row[0] for row in found]
    if ids:
        return ids
    by_version = not selection.session_id and not selection.everything
    return ([PfaId(one) for one in selection.expected_versions] or None) if by_version else None


def _require_records(tx: Tx, ids: Sequence[PfaId]) -> None:
    known = mirror.lock_records(tx.conn, tx.organization_id, ids)
    message = f"not found in {tx.organization_id}"
    lost = [
        Fault(pfa_id, "", FaultCode.NOT_FOUND, message) for pfa_id in ids if pfa_id not in known
    ]
    if lost:
        like = like_record(tx.conn, tx.principal, lost[0].pfa_id)
        raise NotFound(f"{lost[0].pfa_id!r} {message}, nothing was done{like}", details=lost)
