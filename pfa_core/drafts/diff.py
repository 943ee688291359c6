"""The caller's modifications, field by field, with their cost effect."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any

from pfa_core.authorization import require_order
from pfa_core.drafts.listing import BY_ID, active, matches
from pfa_core.errors import NotFound
from pfa_core.model.costing import Costing
from pfa_core.model.delta import FieldChange, changes, merge
from pfa_core.model.ids import ModificationId, PfaId, SessionId
from pfa_core.model.modification import State
from pfa_core.model.money import ZERO, Amount, cents, cost_effect, money
from pfa_core.model.ordering import SortKey, parse_keys
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, require_limit
from pfa_core.model.record import SORTABLE
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import members, modifications
from pfa_core.store.database import Database
from pfa_core.store.mirror import BaselineRow
from pfa_core.store.modifications import ModificationRow


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
        self.count(entry.pfa_id, len(entry.changes), money_days)

    def count(self, pfa_id: str, fields: int, money_days: Decimal) -> None:
        """Count fields of the next record in PFA id order, with their exact effect."""
        self.record_count += pfa_id != self._last
        self.field_count += fields
        self._money_days += money_days
        self._last = pfa_id


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
class Step:
    """A modification, its record without it and with it."""

    row: ModificationRow
    before: dict[str, Any]
    after: dict[str, Any]

    def money_days(self, costing: Costing) -> Decimal:
        """Return the effect on the forecast, in money-days."""
        return cost_effect(self.before, self.after, costing)


def check_diff(
    _filters: Filters, *, limit: int | None = None, sort: str | None = None, **_: object
) -> None:
    """Refuse a limit out of range and an unknown order."""
    if limit is not None:
        require_limit(limit)
    keys_of(sort)


@reads(Operation.DIFF, check=check_diff)
def diff(
    tx: Tx,
    filters: Filters,
    *,
    session_id: str | None = None,
    limit: int | None = None,
    sort: str | None = None,
) -> DiffReport:
    """Compare matching records with and without the principal's active modifications.

    Args:
        session_id: Only the modifications of one session.
        limit: The maximum number of entries; None for all. The sums are those of the entries.
        sort: Fields of the merged records, as those of a list; else by PFA id.

    Raises:
        NotFound: The principal never had a session of that name, or discarded it.
        PermissionDenied: An order by money or an expression over it, which the caller may not see.
    """
    totals = DiffTotals()
    with closing(entries_in(tx, filters, session_id, totals, keys_of(sort))) as found:
        entries = list(islice(found, limit))
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
    limit: int | None = None,
    sort: str | None = None,
) -> Iterator[DiffEntry]:
    """Yield the entries of `diff`, in constant memory and from one snapshot.

    Args:
        session_id, limit, sort: As in `diff`.
        totals: Has the sums of the entries yielded so far.

    Raises:
        NotFound: As `diff`.
    """
    counted = DiffTotals() if totals is None else totals
    check_diff(filters, limit=limit, sort=sort)
    with (
        snapshot(db, principal, Operation.STREAM_DIFF) as tx,
        closing(entries_in(tx, filters, session_id, counted, keys_of(sort))) as entries,
    ):
        yield from islice(entries, limit)


def keys_of(sort: str | None) -> tuple[SortKey, ...]:
    """Parse the order of a diff."""
    return parse_keys(sort or "", SORTABLE) or BY_ID


def entries_in(
    tx: Tx,
    filters: Filters,
    session_id: str | None,
    totals: DiffTotals,
    keys: tuple[SortKey, ...],
) -> Generator[DiffEntry, None, None]:
    """Read the entries of `diff`; its sums are added up in `totals`."""
    require_order(tx.principal, tx.member, keys, tx.operation)
    filters = tx.asked(filters)
    totals.masked = tx.mask.hides
    if session_id:
        require_session(tx, session_id)
        filters = replace(filters, session=(session_id,))
    costing = members.costing(tx.conn, tx.organization_id)
    with closing(active(tx, filters, keys)) as found:
        for rows, baseline in found:
            for step in steps(rows, baseline):
                if matches(step.row, filters):
                    effect = step.money_days(costing)
                    entry = entry_of(tx, step, effect)
                    totals.add(entry, effect)
                    yield entry


def require_session(tx: Tx, session_id: str) -> None:
    """Refuse a session that the caller never had, or discarded.

    Raises:
        NotFound: It is not there.
    """
    if not modifications.states_of_session(tx.conn, tx.principal, session_id):
        from pfa_core.store.suggestions import like_session

        raise NotFound(
            f"{tx.user_id} has no session {session_id!r}"
            f"{like_session(tx.conn, tx.principal, session_id)}",
            hint="type: pfa status; a record's changes: pfa diff --id ID",
        )


def steps(rows: Iterable[ModificationRow], baseline: Mapping[PfaId, BaselineRow]) -> Iterable[Step]:
    """Yield each modification with its record without it and with it.

    Args:
        rows: The modifications of each record together, in the order of `active`.
    """
    before: dict[str, Any] = {}
    last = ""
    for row in rows:
        if row.pfa_id != last:
            before, last = merge(baseline[row.pfa_id].data), row.pfa_id
        after = merge(before, row.delta)
        yield Step(row, before, after)
        before = after


def entry_of(tx: Tx, step: Step, effect: Decimal) -> DiffEntry:
    """Make the entry of a modification, with its exact effect."""
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
