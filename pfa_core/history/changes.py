"""Records that changed in PEMS: in a time, since a run, or with one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from pfa_core.authorization import require
from pfa_core.history.spans import span_of
from pfa_core.model.change_order import decode_place, encode_place
from pfa_core.model.changes import (
    ChangeCount,
    ChangePage,
    ChangeTotals,
    ChangeWindow,
    RecordChange,
    record_change,
)
from pfa_core.model.money import cents, money
from pfa_core.model.ordering import CHANGES, SortKey
from pfa_core.model.principal import Principal, Right
from pfa_core.model.query import Filters, require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import members
from pfa_core.store.database import Database
from pfa_core.store.reads.changes import Changes

_EVERYTHING = Filters()


def _check(
    window: ChangeWindow,  # noqa: ARG001 - a check takes what the operation takes
    filters: Filters = _EVERYTHING,  # noqa: ARG001
    *,
    limit: int | None = None,
    after: str | None = None,
    sort: str | None = None,
) -> None:
    if limit is not None:
        require_limit(limit)
    keys = CHANGES.parse(sort)
    if after:
        decode_place(keys, after)


@reads(Operation.LIST_CHANGES, check=_check)
def list_changes(
    tx: Tx,
    window: ChangeWindow,
    filters: Filters = _EVERYTHING,
    *,
    limit: int = 100,
    after: str | None = None,
    sort: str | None = None,
) -> ChangePage:
    """List one page of the records that changed in PEMS, the latest first.

    A record is listed once: as it was before the time that is asked of, and as it was at its end. One that
    changed and changed back is left out. What a push of yours brought to PEMS is a change of PEMS, too.

    Args:
        filters: A choice of records as the caller sees them now, as in `list_records`.
        limit: The maximum number of records.
        after: Continue after this cursor (`ChangePage.next`).
        sort: Other keys than `-changedAt`, see `model.ordering.CHANGES`.

    Raises:
        NotFound: The window names a run that the organization does not have.
        PermissionDenied: An order by cost or an expression over money, which the caller may not see.
    """
    keys = CHANGES.parse(sort)
    found = _changes(tx, window, filters, keys)
    rows = found.page(keys, decode_place(keys, after) if after else None, limit=limit + 1)
    return ChangePage(
        changes=[tx.mask.record_change(record_change(row)) for row in rows[:limit]],
        totals=_totals(tx, found),
        next=encode_place(keys, rows[limit - 1]) if len(rows) > limit else None,
    )


def stream_changes(
    db: Database,
    principal: Principal,
    window: ChangeWindow,
    filters: Filters = _EVERYTHING,
    *,
    limit: int | None = None,
    after: str | None = None,
    sort: str | None = None,
    counted: ChangeCount | None = None,
) -> Iterator[RecordChange]:
    """Yield all that `list_changes` lists, in constant memory and from one snapshot.

    Args:
        filters, limit, after, sort: As in `list_changes`; no limit means all.
        counted: Has the totals of the changes yielded so far.

    Raises:
        NotFound, PermissionDenied: As `list_changes`.
    """
    _check(window, filters, limit=limit, after=after, sort=sort)
    keys, count = CHANGES.parse(sort), ChangeCount() if counted is None else counted
    place = decode_place(keys, after) if after else None
    with snapshot(db, principal, Operation.STREAM_CHANGES) as tx:
        count.masked = tx.mask.hides
        found = _changes(tx, window, filters, keys)
        with closing(found.stream(keys, place, limit=limit)) as rows:
            for row in rows:
                count.add(row)
                yield tx.mask.record_change(record_change(row))


def _changes(tx: Tx, window: ChangeWindow, filters: Filters, keys: Sequence[SortKey]) -> Changes:
    if any(key.field == "costEffect" for key in keys):
        require(tx.principal, tx.member, Right.VIEW_FINANCIALS, tx.operation)
    return Changes(
        conn=tx.conn,
        principal=tx.principal,
        span=span_of(tx, window),
        filters=tx.asked(filters),
        costing=members.costing(tx.conn, tx.organization_id),
    )


def _totals(tx: Tx, found: Changes) -> ChangeTotals:
    new, changed, missing, money_days = found.totals()
    return ChangeTotals(
        new=new,
        changed=changed,
        missing=missing,
        cost_effect=tx.mask.amount(cents(money(money_days))),
        masked=tx.mask.hides,
    )
