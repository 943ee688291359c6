"""The caller's modifications, field by field, with their cost effect."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pfa_core.errors import NotFound
from pfa_core.model.costing import Costing
from pfa_core.model.delta import FieldChange, changes, merge
from pfa_core.model.figures import Amount
from pfa_core.model.ids import ModificationId, PfaId, SessionId
from pfa_core.model.kpi import ZERO, cents, forecast_money_days, money
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, SortKey
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import members, mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.mirror import BaselineRow
from pfa_core.store.modifications import ModificationRow
from pfa_core.store.portions import portions
from pfa_core.store.reads import merged
from pfa_core.store.suggestions import like_session

# Records whose content is in memory at one time. For each portion a planner without statistics of the caller reads
# the keys of all that the caller has: fewer portions for that.
_TOGETHER = 2500


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
    masked: bool = False


@dataclass(slots=True, kw_only=True)
class DiffTotals:
    """Sums of the entries that a stream has yielded so far.

    Where `masked`, money and its effects are None.
    """

    record_count: int = 0
    field_count: int = 0
    masked: bool = False
    _money_days: Decimal = ZERO
    _last: str = ""

    @property
    def cost_effect(self) -> Amount:
        """Return the total effect, rounded once."""
        return None if self.masked else cents(money(self._money_days))

    def add(self, entry: DiffEntry, money_days: Decimal) -> None:
        """Count an entry, the next in PFA id order, with its exact effect."""
        self.record_count += entry.pfa_id != self._last
        self.field_count += len(entry.changes)
        self._money_days += money_days
        self._last = entry.pfa_id


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
    return list(_drafts(tx, filters))


def stream_drafts(
    db: Database, principal: Principal, filters: Filters
) -> Iterator[ModificationView]:
    """Yield what `list_drafts` returns, in constant memory and from one snapshot."""
    with (
        snapshot(db, principal, Operation.STREAM_DRAFTS) as tx,
        closing(_drafts(tx, filters)) as found,
    ):
        yield from found


@reads(Operation.DIFF)
def diff(tx: Tx, filters: Filters, *, session_id: str | None = None) -> DiffReport:
    """Compare matching records with and without the principal's active modifications.

    Args:
        session_id: Only the modifications of one session.

    Raises:
        NotFound: The principal never had a session of that name, or discarded it.
    """
    totals = DiffTotals()
    entries = list(_entries(tx, filters, session_id, totals))
    return DiffReport(
        entries=entries,
        cost_effect=totals.cost_effect,
        record_count=totals.record_count,
        field_count=totals.field_count,
        masked=totals.masked,
    )


def stream_diff(
    db: Database,
    principal: Principal,
    filters: Filters,
    *,
    session_id: str | None = None,
    totals: DiffTotals | None = None,
) -> Iterator[DiffEntry]:
    """Yield the entries of `diff`, in constant memory and from one snapshot.

    Args:
        session_id: As in `diff`.
        totals: Has the sums of the entries yielded so far.

    Raises:
        NotFound: As `diff`.
    """
    counted = DiffTotals() if totals is None else totals
    with (
        snapshot(db, principal, Operation.STREAM_DIFF) as tx,
        closing(_entries(tx, filters, session_id, counted)) as entries,
    ):
        yield from entries


def _drafts(tx: Tx, filters: Filters) -> Generator[ModificationView, None, None]:
    of_drafts = replace(filters, state=filters.state or (State.DRAFT,))
    with closing(_active(tx, filters)) as found:
        for rows, baseline in found:
            for row in modifications.with_own_bases(rows, baseline):
                if _matches(row, of_drafts):
                    yield tx.mask.view(modifications.view(row, baseline[row.pfa_id].data))


def _entries(
    tx: Tx, filters: Filters, session_id: str | None, totals: DiffTotals
) -> Generator[DiffEntry, None, None]:
    totals.masked = tx.mask.hides
    if session_id:
        _require_session(tx, session_id)
        filters = replace(filters, session=(session_id,))
    costing = members.costing(tx.conn, tx.organization_id)
    with closing(_active(tx, filters)) as found:
        for rows, baseline in found:
            for step in _steps(rows, baseline):
                if _matches(step.row, filters):
                    effect = step.money_days(costing)
                    entry = _entry(tx, step, effect)
                    totals.add(entry, effect)
                    yield entry


def _require_session(tx: Tx, session_id: str) -> None:
    if not modifications.states_of_session(tx.conn, tx.principal, session_id):
        raise NotFound(
            f"{tx.user_id} has no session {session_id!r}"
            f"{like_session(tx.conn, tx.principal, session_id)}",
            hint="type: pfa status; a record's changes: pfa diff --id ID",
        )


def _active(
    tx: Tx, filters: Filters
) -> Generator[tuple[list[ModificationRow], dict[PfaId, BaselineRow]], None, None]:
    """Read the records that match by value and the caller's modifications of them.

    In PFA id order, some records at a time.
    """
    query = Query(replace(filters, state=(), session=(), changed=True), (SortKey("pfaId"),))
    with closing(merged.stream(tx.conn, tx.principal, query, limit=None)) as found:
        for ids in portions((row[0] for row in found), _TOGETHER):
            baseline = mirror.rows(tx.conn, tx.organization_id, ids)
            yield modifications.active(tx.conn, tx.principal, ids), baseline


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


def _entry(tx: Tx, step: _Step, effect: Decimal) -> DiffEntry:
    row, mask = step.row, tx.mask
    return DiffEntry(
        pfa_id=row.pfa_id,
        modification_id=row.modification_id,
        session_id=row.session_id,
        state=State(row.state),
        version=row.version,
        changes=mask.changes(changes(step.before, step.after), row.delta),
        cost_effect=mask.amount(cents(money(effect))),
        change_reason=row.change_reason,
        masked=mask.hides,
    )
