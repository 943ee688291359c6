"""The caller's modifications, field by field, with their cost effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pfa_core.errors import NotFound
from pfa_core.masking import Mask
from pfa_core.model.costing import Costing
from pfa_core.model.delta import FieldChange, changes, merge
from pfa_core.model.figures import Amount
from pfa_core.model.ids import ModificationId, PfaId, SessionId
from pfa_core.model.kpi import ZERO, cents, forecast_money_days, money
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.query import Filters, Query
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import members, mirror, modifications
from pfa_core.store.mirror import BaselineRow
from pfa_core.store.modifications import ModificationRow
from pfa_core.store.reads import merged


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffEntry:
    """One modification: its fields before and after, its effect on forecast cost.

    "Before" is the baseline with the principal's earlier modifications of the record, so that the
    effects of all entries add up to the draft impact of the KPIs.
    """

    pfa_id: PfaId
    modification_id: ModificationId
    session_id: SessionId
    state: State
    version: int
    changes: tuple[FieldChange, ...]
    cost_effect: Amount
    change_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    """Entries in PFA id order; the total effect is rounded once, at the end.

    Where `masked`, money and its effects are None.
    """

    entries: list[DiffEntry]
    cost_effect: Amount
    record_count: int
    field_count: int
    masked: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """A modification, its record without it and with it."""

    row: ModificationRow
    before: dict[str, Any]
    after: dict[str, Any]

    def money_days(self, costing: Costing) -> Decimal:
        """Return the effect on the forecast, in money-days."""
        return forecast_money_days(self.after, costing) - forecast_money_days(self.before, costing)


@reads(Operation.LIST_DRAFTS)
def list_drafts(tx: Tx, filters: Filters) -> list[ModificationView]:
    """List the principal's modifications of matching records, in PFA id order.

    Drafts only, unless the filters name states.
    """
    of_drafts = replace(filters, state=filters.state or (State.DRAFT,))
    rows, baseline = _active(tx, filters)
    return [
        tx.mask.view(modifications.view(row, baseline[row.pfa_id].data))
        for row in rows
        if _matches(row, of_drafts)
    ]


@reads(Operation.DIFF)
def diff(tx: Tx, filters: Filters, *, session_id: str | None = None) -> DiffReport:
    """Compare matching records with and without the principal's active modifications.

    Args:
        session_id: Only the modifications of one session.

    Raises:
        NotFound: The principal never had a session of that name, or discarded it.
    """
    if session_id:
        _require_session(tx, session_id)
        filters = replace(filters, session=(session_id,))
    rows, baseline = _active(tx, filters)
    matching = (step for step in _steps(rows, baseline) if _matches(step.row, filters))
    return _report(matching, tx.mask, members.costing(tx.conn, tx.organization_id))


def _require_session(tx: Tx, session_id: str) -> None:
    if not modifications.states_of_session(tx.conn, tx.principal, session_id):
        raise NotFound(
            f"{tx.user_id} has no session {session_id!r}",
            hint="type: pfa status; a record's changes: pfa diff --id ID",
        )


def _active(tx: Tx, filters: Filters) -> tuple[list[ModificationRow], dict[PfaId, BaselineRow]]:
    """Read the records that match by value and the caller's modifications of them."""
    by_value = replace(filters, state=(), session=(), changed=True)
    found = [row[0] for row in merged.stream(tx.conn, tx.principal, Query(by_value), limit=None)]
    baseline = mirror.rows(tx.conn, tx.organization_id, found)
    return modifications.active(tx.conn, tx.principal, found), baseline


def _matches(row: ModificationRow, filters: Filters) -> bool:
    """Return whether the modification itself matches, beside its record."""
    return (not filters.session or row.session_id in filters.session) and (
        not filters.state or row.state in filters.state
    )


def _steps(
    rows: Iterable[ModificationRow], baseline: Mapping[PfaId, BaselineRow]
) -> Iterable[_Step]:
    before: dict[str, Any] = {}
    last = ""
    for row in rows:
        if row.pfa_id != last:
            before, last = merge(baseline[row.pfa_id].data), row.pfa_id
        after = merge(before, row.delta)
        yield _Step(row, before, after)
        before = after


def _report(steps: Iterable[_Step], mask: Mask, costing: Costing) -> DiffReport:
    entries: list[DiffEntry] = []
    exact = ZERO
    for step in steps:
        effect = step.money_days(costing)
        exact += effect
        entries.append(_entry(step, effect, mask))
    return DiffReport(
        entries=entries,
        cost_effect=mask.amount(cents(money(exact))),
        record_count=len({entry.pfa_id for entry in entries}),
        field_count=sum(len(entry.changes) for entry in entries),
        masked=mask.hides,
    )


def _entry(step: _Step, effect: Decimal, mask: Mask) -> DiffEntry:
    row = step.row
    return DiffEntry(
        pfa_id=row.pfa_id,
        modification_id=row.modification_id,
        session_id=row.session_id,
        state=State(row.state),
        version=row.version,
        changes=mask.changes(changes(step.before, step.after), row.delta),
        cost_effect=mask.amount(cents(money(effect))),
        change_reason=row.change_reason,
    )
