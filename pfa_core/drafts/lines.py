"""Drafts and their fields as lines that the database composes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from itertools import islice

from pfa_core.drafts.diff import (
    DiffEntry,
    DiffTotals,
    check_diff,
    entries_in,
    entry_of,
    keys_of,
    require_session,
    steps,
)
from pfa_core.drafts.listing import BY_ID, drafts_in
from pfa_core.masking import SHOWN_FIELDS
from pfa_core.model.ids import ModificationId
from pfa_core.model.layout import Layout
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.money import ZERO
from pfa_core.model.ordering import DRAFTS, SortKey
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, snapshot
from pfa_core.store import members, mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.reads import lines
from pfa_core.store.reads.filters import names_ids
from pfa_core.store.reads.lines import FieldLines, Named


def stream_draft_lines(
    db: Database,
    principal: Principal,
    filters: Filters,
    layout: Layout,
    *,
    limit: int | None = None,
    sort: str | None = None,
    masked: Callable[[], object] | None = None,
) -> Iterator[str | ModificationView]:
    """Yield what `stream_drafts` yields, as lines without line ends.

    A draft is yielded itself where the database does not compose its line: one that takes more than a quote
    around a cell, of records that are named by id, with a column that is unknown.

    Args:
        limit, sort: As in `list_drafts`.
        masked: Called before the first one when money is null.
    """
    if limit is not None:
        require_limit(limit)
    keys = DRAFTS.parse(sort)
    with snapshot(db, principal, Operation.STREAM_DRAFT_LINES) as tx:
        if _are_composed(filters, layout, lines.DRAFT_COLUMNS):
            found = _drafts(tx, filters, layout, keys, limit)
        else:
            found = drafts_in(tx, filters, keys)
        with closing(found):
            for number, item in enumerate(islice(found, limit)):
                if not number and masked and tx.mask.hides:
                    masked()
                yield item


def _are_composed(filters: Filters, layout: Layout, known: Iterable[str]) -> bool:
    columns = layout.columns
    return not names_ids(filters) and set(columns) <= set(known) and len({*columns}) == len(columns)


def _drafts(
    tx: Tx, filters: Filters, layout: Layout, keys: tuple[SortKey, ...], limit: int | None
) -> Generator[str | ModificationView, None, None]:
    of_drafts = replace(tx.asked(filters), state=filters.state or (State.DRAFT,))
    found = lines.drafts(
        tx.conn,
        tx.principal,
        of_drafts,
        layout,
        keys=() if keys == BY_ID else keys,
        limit=limit,
        shown=SHOWN_FIELDS if tx.mask.hides else None,
    )
    with closing(found):
        for batch in found:
            named = [item for item in batch if isinstance(item, Named)]
            views = _views(tx, named) if named else {}
            for item in batch:
                yield item if isinstance(item, str) else views[item.modification_id]


def _views(tx: Tx, named: Iterable[Named]) -> dict[ModificationId, ModificationView]:
    ids = sorted({item.pfa_id for item in named})
    baseline = mirror.rows(tx.conn, tx.organization_id, ids)
    rows = modifications.active(tx.conn, tx.principal, ids)
    return {
        row.modification_id: tx.mask.view(modifications.view(row, baseline[row.pfa_id].data))
        for row in modifications.with_own_bases(rows, baseline)
    }


def stream_diff_lines(
    db: Database,
    principal: Principal,
    filters: Filters,
    layout: Layout,
    *,
    session_id: str | None = None,
    totals: DiffTotals | None = None,
    limit: int | None = None,
    sort: str | None = None,
) -> Iterator[str | DiffEntry]:
    """Yield what `stream_diff` yields, as lines.

    An entry is one text: a line for each field and line ends between them, or one element of JSON. It is
    yielded itself where the database does not compose its lines: as in `stream_draft_lines`, and in any order but
    that of the PFA ids.

    Args:
        session_id, totals, limit, sort: As in `stream_diff`.

    Raises:
        NotFound: As `stream_diff`.
    """
    counted = DiffTotals() if totals is None else totals
    check_diff(filters, limit=limit, sort=sort)
    keys = keys_of(sort)
    with snapshot(db, principal, Operation.STREAM_DIFF_LINES) as tx:
        if keys == BY_ID and _are_composed(filters, layout, lines.FIELD_COLUMNS):
            found = _entries(tx, filters, layout, counted, session_id=session_id, limit=limit)
        else:
            found = entries_in(tx, filters, session_id, counted, keys)
        with closing(found):
            yield from islice(found, limit)


def _entries(
    tx: Tx,
    filters: Filters,
    layout: Layout,
    totals: DiffTotals,
    *,
    session_id: str | None,
    limit: int | None,
) -> Generator[str | DiffEntry, None, None]:
    filters = tx.asked(filters)
    totals.masked = tx.mask.hides
    if session_id:
        require_session(tx, session_id)
        filters = replace(filters, session=(session_id,))
    shown = SHOWN_FIELDS if tx.mask.hides else None
    found = lines.fields(tx.conn, tx.principal, filters, layout, limit=limit, shown=shown)
    with closing(found):
        for batch in found:
            entries = _entries_of(tx, batch)
            for item in batch:
                if isinstance(item.lines, str):
                    totals.count(item.pfa_id, item.fields, item.money_days or ZERO)
                    yield item.lines
                else:
                    entry, effect = entries[item.lines.modification_id]
                    totals.add(entry, effect)
                    yield entry


def _entries_of(
    tx: Tx, batch: Iterable[FieldLines]
) -> dict[ModificationId, tuple[DiffEntry, Decimal]]:
    ids = sorted({item.pfa_id for item in batch if not isinstance(item.lines, str)})
    if not ids:
        return {}
    costing = members.costing(tx.conn, tx.organization_id)
    rows = modifications.active(tx.conn, tx.principal, ids)
    found: dict[ModificationId, tuple[DiffEntry, Decimal]] = {}
    for step in steps(rows, mirror.rows(tx.conn, tx.organization_id, ids)):
        effect = step.money_days(costing)
        found[step.row.modification_id] = entry_of(tx, step, effect), effect
    return found
