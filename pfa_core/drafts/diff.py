"""Looking at one's own modifications: what is drafted, and what it changes and costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from psycopg import Connection

from pfa_core.authorization import authorize
from pfa_core.errors import NotFound
from pfa_core.masking import Mask, mask_for
from pfa_core.model.delta import FieldChange, changes, merge
from pfa_core.model.figures import Amount
from pfa_core.model.kpi import ZERO, cents, forecast_money_days, money
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.model.rights import Operation
from pfa_core.store import mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.mirror import BaselineRow
from pfa_core.store.modifications import ModificationRow
from pfa_core.store.reads import merged


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """One modification: each field before and after it, and what it does to the forecast cost.

    "Before" is the baseline with the principal's earlier modifications of the record, so that the
    effects of all entries add up to the draft impact of the KPIs.
    """

    pfa_id: str
    modification_id: str
    session_id: str
    state: str
    version: int
    changes: tuple[FieldChange, ...]
    cost_effect: Amount
    change_reason: str | None


@dataclass(frozen=True, slots=True)
class DiffReport:
    """Entries in PFA id order; the total effect is rounded once, at the end. Where `masked`, money and
    its effects are None."""

    entries: list[DiffEntry]
    cost_effect: Amount
    record_count: int
    field_count: int
    masked: bool = False


def list_drafts(db: Database, principal: Principal, filters: Filters) -> list[ModificationView]:
    """The principal's modifications on matching records, in PFA id order.

    Drafts only, unless the filters name states.
    """
    states = filters.state or (State.DRAFT,)

    def work(conn: Connection[Any]) -> list[ModificationView]:
        mask = mask_for(principal, authorize(conn, principal, Operation.LIST_DRAFTS))
        rows, baseline = _living(conn, principal, filters)
        return [
            mask.view(modifications.view(row, baseline[row.pfa_id].data))
            for row in rows
            if row.state in states and (not filters.session or row.session_id in filters.session)
        ]

    return db.read(work)


def diff(
    db: Database, principal: Principal, filters: Filters, *, session_id: str | None = None
) -> DiffReport:
    """What the principal's living modifications change on matching records, field by field.

    Args:
        session_id: Only the modifications of one session.

    Raises:
        NotFound: The principal never had a session of that name, or discarded it.
    """
    sessions = (session_id,) if session_id else filters.session

    def work(conn: Connection[Any]) -> DiffReport:
        mask = mask_for(principal, authorize(conn, principal, Operation.DIFF))
        if session_id and not modifications.states_of_session(conn, principal, session_id):
            raise NotFound(
                f"{principal.user_id} has no session {session_id!r}",
                hint="type: pfa status; a record's changes: pfa diff --id ID",
            )
        rows, baseline = _living(conn, principal, filters)
        entries: list[DiffEntry] = []
        exact = ZERO
        for row, before, after in _stacked(rows, baseline):
            wanted = not sessions or row.session_id in sessions
            if wanted and (not filters.state or row.state in filters.state):
                effect = forecast_money_days(after) - forecast_money_days(before)
                exact += effect
                entries.append(_entry(row, before, after, effect, mask))
        count = len({entry.pfa_id for entry in entries})
        total = mask.amount(cents(money(exact)))
        fields = sum(len(entry.changes) for entry in entries)
        return DiffReport(entries, total, count, fields, mask.hides)

    return db.read(work)


def _living(
    conn: Connection[Any], principal: Principal, filters: Filters
) -> tuple[list[ModificationRow], dict[str, BaselineRow]]:
    """The living modifications of the records that match by value, and those records."""
    by_value = replace(filters, state=(), session=(), changed=True)
    found = [row[0] for row in merged.stream(conn, principal, Query(by_value), limit=None)]
    baseline = mirror.rows(conn, principal.organization_id, found)
    return modifications.active(conn, principal, found), baseline


def _stacked(
    rows: Iterable[ModificationRow], baseline: Mapping[str, BaselineRow]
) -> Iterable[tuple[ModificationRow, dict[str, Any], dict[str, Any]]]:
    before: dict[str, Any] = {}
    last = ""
    for row in rows:
        if row.pfa_id != last:
            before, last = merge(baseline[row.pfa_id].data), row.pfa_id
        after = merge(before, row.delta)
        yield row, before, after
        before = after


def _entry(
    row: ModificationRow,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    effect: Decimal,
    mask: Mask,
) -> DiffEntry:
    return DiffEntry(
        row.pfa_id,
        row.modification_id,
        row.session_id,
        row.state,
        row.version,
        mask.changes(changes(before, after), row.delta),
        mask.amount(cents(money(effect))),
        row.change_reason,
    )
