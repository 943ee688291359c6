"""Reviews of the caller's modifications: a line for each record, sums of groups."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Any

from pfa_core.authorization import require_order
from pfa_core.drafts.diff import DiffTotals, Step, require_session, steps
from pfa_core.drafts.listing import BY_ID, active, matches
from pfa_core.masking import Mask
from pfa_core.model.costing import Costing
from pfa_core.model.delta import FieldChange, changes, same
from pfa_core.model.ids import PfaId, SessionId
from pfa_core.model.kpi import GROUP_DIMENSIONS
from pfa_core.model.modification import State
from pfa_core.model.money import ZERO, Amount, cents, money
from pfa_core.model.ordering import SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, require_limit
from pfa_core.model.record import FIELDS, Kind
from pfa_core.model.rights import Operation
from pfa_core.model.suggest import not_one_of
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import members
from pfa_core.store.database import Database

# Order by cost effect requires what an order by money does.
_BY_MONEY = (SortKey("monthlyRate"),)


class ReviewBy(StrEnum):
    """What a review groups modifications by, beside the dimensions of a record."""

    FIELD = "field"
    REASON = "reason"
    SESSION = "session"
    STATE = "state"


GROUPS = (*ReviewBy, *GROUP_DIMENSIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedRecord:
    """A record with the modifications that were asked for, as one change.

    `changes` are fields that differ before the first of them and after the last; `shifted` is the number of
    days where all changed dates moved by the same. Where `masked`, money and its effect are None.
    """

    pfa_id: PfaId
    sessions: tuple[SessionId, ...]
    states: tuple[State, ...]
    changes: tuple[FieldChange, ...]
    shifted: int | None
    cost_effect: Amount
    reasons: tuple[str, ...]
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewGroup:
    """Sums of the modifications of one group; `key` is None for those without a value.

    The cost effect is that of the modifications whole; of a group of a field there is none.
    """

    key: str | None
    records: int
    fields: int
    cost_effect: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Groups, the largest effect first, and the sums over all modifications."""

    groups: list[ReviewGroup]
    record_count: int
    field_count: int
    cost_effect: Amount
    masked: bool = False


@dataclass(slots=True)
class _Sums:
    """Sums of one group while modifications are read, in PFA id order."""

    records: int = 0
    fields: int = 0
    money_days: Decimal = field(default=ZERO)
    _last: str = ""

    def add(self, pfa_id: str, fields: int, money_days: Decimal) -> None:
        """Count a modification."""
        self.records += pfa_id != self._last
        self.fields += fields
        self.money_days += money_days
        self._last = pfa_id


def _check(_filters: Filters, *, by: str = ReviewBy.FIELD, **_: object) -> None:
    if by not in GROUPS:
        raise not_one_of(f"cannot group by {by!r}", by, GROUPS, listed="groups")


@reads(Operation.REVIEW, check=_check)
def review(
    tx: Tx, filters: Filters, *, by: str = ReviewBy.FIELD, session_id: str | None = None
) -> Review:
    """Sum the caller's modifications of matching records by group.

    Args:
        by: A `ReviewBy`, or a dimension of the records with the modifications, see `model.kpi.GROUP_DIMENSIONS`.
        session_id: Only the modifications of one session.

    Raises:
        NotFound: The caller never had a session of that name, or discarded it.
        PermissionDenied: An expression over money, which the caller may not see.
    """
    sums: dict[str | None, _Sums] = {}
    totals = DiffTotals(masked=tx.mask.hides)
    with closing(_steps(tx, filters, session_id)) as found:
        for step, costing in found:
            changed = tx.mask.changes(changes(step.before, step.after), step.row.delta)
            effect = step.money_days(costing)
            totals.count(step.row.pfa_id, len(changed), effect)
            for key, fields in _keys(step, changed, by):
                sums.setdefault(key, _Sums()).add(step.row.pfa_id, fields, effect)
    groups = [
        ReviewGroup(
            key=key,
            records=total.records,
            fields=total.fields,
            cost_effect=None if by == ReviewBy.FIELD else _amount(tx.mask, total.money_days),
        )
        for key, total in sorted(sums.items(), key=_order(by, masked=tx.mask.hides))
    ]
    return Review(
        groups=groups,
        record_count=totals.record_count,
        field_count=totals.field_count,
        cost_effect=totals.cost_effect,
        masked=totals.masked,
    )


def stream_review(
    db: Database,
    principal: Principal,
    filters: Filters,
    *,
    session_id: str | None = None,
    top: int | None = None,
    totals: DiffTotals | None = None,
) -> Iterator[ReviewedRecord]:
    """Yield each record that the caller's modifications change, as one change.

    In PFA id order, in constant memory and from one snapshot.

    Args:
        session_id: Only the modifications of one session.
        top: Only as many, those with the largest effect on cost, up or down, first.
        totals: Has the sums over all records, when the first is yielded with `top`, else of those so far.

    Raises:
        NotFound: As `review`.
        PermissionDenied: As `review`; `top` without the right to see money.
    """
    if top is not None:
        require_limit(top)
    counted = DiffTotals() if totals is None else totals
    with (
        snapshot(db, principal, Operation.STREAM_REVIEW) as tx,
        closing(_records(tx, filters, session_id, counted)) as found,
    ):
        if top is None:
            yield from (record for _, record in found)
            return
        yield from _largest(tx, found, top)


def top_movers(
    tx: Tx, filters: Filters, top: int, *, totals: DiffTotals, states: Counter[State]
) -> tuple[ReviewedRecord, ...]:
    """Return what `stream_review` yields with `top`, within another operation.

    Where money is masked the records are counted and none is returned: their order would reveal it.

    Args:
        states: Has how many records have a modification in each state.
    """
    with closing(_records(tx, filters, None, totals)) as every:
        found = _counted(every, states)
        if tx.mask.hides:
            deque(found, maxlen=0)
            return ()
        return tuple(_largest(tx, found, top))


def _counted(
    found: Iterable[tuple[Decimal, ReviewedRecord]], states: Counter[State]
) -> Iterator[tuple[Decimal, ReviewedRecord]]:
    for effect, record in found:
        states.update(record.states)
        yield effect, record


def _largest(
    tx: Tx, found: Iterable[tuple[Decimal, ReviewedRecord]], top: int
) -> Iterator[ReviewedRecord]:
    """Yield those with the largest effect; of equal ones the first by id."""
    require_order(tx.principal, tx.member, _BY_MONEY, tx.operation)
    kept = heapq.nlargest(top, enumerate(found), key=lambda item: (abs(item[1][0]), -item[0]))
    return (record for _, (_, record) in kept)


def _records(
    tx: Tx, filters: Filters, session_id: str | None, totals: DiffTotals
) -> Generator[tuple[Decimal, ReviewedRecord], None, None]:
    totals.masked = tx.mask.hides
    with closing(_steps(tx, filters, session_id)) as found:
        for pfa_id, group in groupby(found, lambda item: item[0].row.pfa_id):
            effect, record = _as_one(tx.mask, pfa_id, list(group))
            totals.count(pfa_id, len(record.changes), effect)
            yield effect, record


def _as_one(
    mask: Mask, pfa_id: PfaId, found: list[tuple[Step, Costing]]
) -> tuple[Decimal, ReviewedRecord]:
    """Combine the modifications of a record."""
    effect = sum((step.money_days(costing) for step, costing in found), ZERO)
    rows = [step.row for step, _ in found]
    delta = {name: value for row in rows for name, value in row.delta.items()}
    changed = mask.changes(_combined(step for step, _ in found), delta)
    return effect, ReviewedRecord(
        pfa_id=pfa_id,
        sessions=tuple(dict.fromkeys(row.session_id for row in rows)),
        states=tuple(dict.fromkeys(State(row.state) for row in rows)),
        changes=changed,
        shifted=shifted_days(changed),
        cost_effect=_amount(mask, effect),
        reasons=tuple(dict.fromkeys(row.change_reason for row in rows if row.change_reason)),
        masked=mask.hides,
    )


def _combined(found: Iterable[Step]) -> list[FieldChange]:
    """Return fields before their first change and after their last, where they differ."""
    first: dict[str, FieldChange] = {}
    for step in found:
        for change in changes(step.before, step.after):
            seen = first.get(change.field, change)
            first[change.field] = replace(seen, after=change.after)
    order = {name: place for place, name in enumerate(FIELDS)}
    changed = [one for one in first.values() if not same(one.before, one.after)]
    return sorted(changed, key=lambda one: (order.get(one.field, len(order)), one.field))


def shifted_days(changed: Iterable[FieldChange]) -> int | None:
    """Return the days by which all changed dates moved; None where they differ."""
    moved = {
        _days(one.before, one.after)
        for one in changed
        if one.field in FIELDS and FIELDS[one.field].kind is Kind.DATE
    }
    return moved.pop() if len(moved) == 1 else None


def _days(before: Any, after: Any) -> int | None:
    if not (before and after):
        return None
    return (date.fromisoformat(after) - date.fromisoformat(before)).days


def _keys(step: Step, changed: Iterable[FieldChange], by: str) -> Iterator[tuple[str | None, int]]:
    """Yield the groups of a modification, and how many fields it changes there."""
    changed = tuple(changed)
    if by == ReviewBy.FIELD:
        yield from ((one.field, 1) for one in changed)
        return
    of_row: Mapping[str, Callable[[], Any]] = {
        ReviewBy.REASON: lambda: step.row.change_reason or None,
        ReviewBy.SESSION: lambda: step.row.session_id,
        ReviewBy.STATE: lambda: step.row.state,
    }
    value = of_row[by]() if by in of_row else step.after.get(by)
    yield _key(value), len(changed)


def _key(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _order(by: str, *, masked: bool) -> Callable[[tuple[str | None, _Sums]], Any]:
    """Order groups: fields as in the table of fields, others by their effect on cost."""
    if by == ReviewBy.FIELD:
        places = {name: place for place, name in enumerate(FIELDS)}
        return lambda item: (places.get(item[0] or "", len(places)), item[0] or "")
    if masked:  # the order would reveal what is hidden
        return lambda item: (item[0] is None, item[0] or "")
    return lambda item: (-abs(item[1].money_days), item[0] is None, item[0] or "")


def _steps(
    tx: Tx, filters: Filters, session_id: str | None
) -> Generator[tuple[Step, Costing], None, None]:
    filters = tx.asked(filters)
    if session_id:
        require_session(tx, session_id)
        filters = replace(filters, session=(session_id,))
    costing = members.costing(tx.conn, tx.organization_id)
    with closing(active(tx, filters, BY_ID)) as found:
        for rows, baseline in found:
            for step in steps(rows, baseline):
                if matches(step.row, filters):
                    yield step, costing


def _amount(mask: Mask, money_days: Decimal) -> Amount:
    return mask.amount(cents(money(money_days)))
