"""Lists of the caller's modifications, by record or in an order of their own."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

from pfa_core.model.ids import ModificationId, PfaId
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.ordering import DRAFTS, SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.mirror import BaselineRow
from pfa_core.store.modifications import ModificationRow
from pfa_core.store.portions import portions
from pfa_core.store.reads import merged

# Records whose content is in memory at one time. For each portion a planner without statistics of the caller reads
# the keys of all that the caller has: fewer portions for that.
_TOGETHER = 2500
BY_ID = (SortKey("pfaId"),)

Active = tuple[list[ModificationRow], dict[PfaId, BaselineRow]]


def _check(_filters: Filters, *, limit: int | None = None, sort: str | None = None) -> None:
    if limit is not None:
        require_limit(limit)
    DRAFTS.parse(sort)


@reads(Operation.LIST_DRAFTS, check=_check)
def list_drafts(
    tx: Tx, filters: Filters, *, limit: int | None = None, sort: str | None = None
) -> list[ModificationView]:
    """List the principal's modifications of matching records, in PFA id order.

    Drafts only, unless the filters name states.

    Args:
        limit: The maximum number; None for all.
        sort: Other keys than `pfaId`, see `model.ordering.DRAFTS`.
    """
    with closing(drafts_in(tx, filters, DRAFTS.parse(sort))) as found:
        return list(islice(found, limit))


def stream_drafts(
    db: Database,
    principal: Principal,
    filters: Filters,
    *,
    limit: int | None = None,
    sort: str | None = None,
) -> Iterator[ModificationView]:
    """Yield what `list_drafts` returns, in constant memory and from one snapshot."""
    _check(filters, limit=limit, sort=sort)
    with (
        snapshot(db, principal, Operation.STREAM_DRAFTS) as tx,
        closing(drafts_in(tx, filters, DRAFTS.parse(sort))) as found,
    ):
        yield from islice(found, limit)


def active(tx: Tx, filters: Filters, keys: tuple[SortKey, ...]) -> Generator[Active, None, None]:
    """Read the records that match by value and the caller's modifications of them.

    In the order of the records, some of them at a time.
    """
    query = Query(replace(filters, state=(), session=(), changed=True), keys)
    with closing(merged.stream(tx.conn, tx.principal, query, limit=None)) as found:
        for ids in portions((row[0] for row in found), _TOGETHER):
            baseline = mirror.rows(tx.conn, tx.organization_id, ids)
            rows = modifications.active(tx.conn, tx.principal, ids)
            if keys != BY_ID:
                stacks = modifications.by_record(rows)
                rows = [row for pfa_id in ids for row in stacks.get(pfa_id, ())]
            yield rows, baseline


def matches(row: ModificationRow, filters: Filters) -> bool:
    """Return whether the modification itself matches, beside its record."""
    return (not filters.session or row.session_id in filters.session) and (
        not filters.state or row.state in filters.state
    )


def drafts_in(
    tx: Tx, filters: Filters, keys: tuple[SortKey, ...]
) -> Generator[ModificationView, None, None]:
    """Read what `list_drafts` returns."""
    of_drafts = replace(tx.asked(filters), state=filters.state or (State.DRAFT,))
    reading = _by_record(tx, of_drafts) if keys == BY_ID else _in_order(tx, of_drafts, keys)
    with closing(reading) as found:
        for row, baseline in found:
            yield tx.mask.view(modifications.view(row, baseline.data))


def _by_record(
    tx: Tx, filters: Filters
) -> Generator[tuple[ModificationRow, BaselineRow], None, None]:
    with closing(active(tx, filters, BY_ID)) as found:
        for rows, baseline in found:
            for row in modifications.with_own_bases(rows, baseline):
                if matches(row, filters):
                    yield row, baseline[row.pfa_id]


def _in_order(
    tx: Tx, filters: Filters, keys: tuple[SortKey, ...]
) -> Generator[tuple[ModificationRow, BaselineRow], None, None]:
    """Read modifications in their own order, their records beside them."""
    found = modifications.in_order(
        tx.conn, tx.principal, keys, states=filters.state, sessions=filters.session
    )
    with closing(found):
        for marks in portions(found, _TOGETHER):
            yield from _of_marks(tx, filters, marks)


def _of_marks(
    tx: Tx, filters: Filters, marks: Sequence[tuple[ModificationId, PfaId]]
) -> Iterator[tuple[ModificationRow, BaselineRow]]:
    ids = sorted({pfa_id for _, pfa_id in marks})
    of_values = replace(filters, state=(), session=(), changed=False)
    if of_values.given():
        wanted = tuple(sorted(set(ids) & set(filters.id))) if filters.id else tuple(ids)
        query = Query(replace(of_values, id=wanted))
        found = merged.stream(tx.conn, tx.principal, query, limit=None) if wanted else iter(())
        ids = sorted(PfaId(row[0]) for row in found)
    baseline = mirror.rows(tx.conn, tx.organization_id, ids)
    rows = modifications.with_own_bases(modifications.active(tx.conn, tx.principal, ids), baseline)
    read = {row.modification_id: row for row in rows}
    for modification_id, pfa_id in marks:
        if modification_id in read:
            yield read[modification_id], baseline[pfa_id]
