"""Merged records.

They are the mirror with the caller's own modifications, one row per record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pfa_core.authorization import require_order
from pfa_core.errors import DatabaseUnavailable, Fault, FaultCode, InvalidRequest, NotFound
from pfa_core.masking import SHOWN_FIELDS, Mask
from pfa_core.model.ids import PfaId
from pfa_core.model.merged import MergedRecord, RecordDetail, RecordPage
from pfa_core.model.modification import State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query, given_key
from pfa_core.model.record import COSTS, in_field_order
from pfa_core.model.rights import MONEY, Operation
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store.database import Database
from pfa_core.store.reads import merged as store

if TYPE_CHECKING:  # a list loads none of them
    from decimal import Decimal

    from pfa_core.model.costs import RecordCosts
    from pfa_core.store import mirror, modifications

MAX_PAGE_SIZE = 10_000
MAX_PAGE = 10**9
MAX_LIMIT = 10**12
_SUGGESTED = 20  # unknown ids that are looked for in another case
_KEYS = ("category", "class", "areaSilo", "manufacturer", "model", "contract")
EXPORT_BLOCK = 64 * 1024  # characters


def _check_page(
    query: Query,  # noqa: ARG001 - a check takes what the operation takes
    *,
    page: int = 1,
    page_size: int = 100,
) -> None:
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidRequest(f"a page has 1 to {MAX_PAGE_SIZE:,} records, not {page_size}")
    if not 1 <= page <= MAX_PAGE:
        raise InvalidRequest(f"pages count from 1 to {MAX_PAGE:,}, not {page}")


@reads(Operation.LIST_RECORDS, check=_check_page)
def list_records(tx: Tx, query: Query, *, page: int = 1, page_size: int = 100) -> RecordPage:
    """List one page of the matching records.

    Args:
        page: From 1; ignored when the query continues after a cursor, which costs the same at any depth.
        page_size: 1 to 10,000.

    Raises:
        InvalidRequest: Page, size or cursor out of range.
        NotFound, Forbidden, PermissionDenied: See `authorization.authorize`.
        PermissionDenied: An order by money or an expression over it, which the caller may not see.
    """
    query = asked_query(tx, query)
    offset = 0 if query.after else (page - 1) * page_size
    rows, cursor, total = store.page_and_total(
        tx.conn, tx.principal, query, limit=page_size, offset=offset
    )
    return RecordPage(
        records=[_record(tx, row) for row in rows],
        total_records=total,
        page=page,
        page_size=page_size,
        next=cursor,
    )


def stream_records(
    db: Database, principal: Principal, query: Query, *, limit: int | None = None
) -> Iterator[MergedRecord]:
    """Yield every matching record in order, in constant memory and from one snapshot.

    Raises:
        DatabaseUnavailable: The connection broke, or the server ended the transaction; the message has the
            number of records before that.
    """
    require_record_limit(limit)
    count = _Count()
    with _counted(count), snapshot(db, principal, Operation.STREAM_RECORDS) as tx:
        query = asked_query(tx, query)
        with closing(store.stream(tx.conn, principal, query, limit=limit)) as rows:
            for row in rows:
                yield _record(tx, row)
                count.records += 1


def export_jsonl(
    db: Database,
    principal: Principal,
    query: Query,
    write: Callable[[bytes], object],
    *,
    limit: int | None = None,
    masked: Callable[[], object] | None = None,
) -> int:
    """Write every matching record in order as a line of JSON; return their number.

    The lines are those of `pfa list -o jsonl`: pfaId, data (merged, every digit kept), syncState,
    sessionId, version, modifiedAt, modifiedBy. From one snapshot and in constant memory. Costs are not in them.

    Args:
        write: Takes UTF-8 bytes, some whole lines at a time.
        masked: Called once, before anything is written, when money is null in the lines.

    Raises:
        DatabaseUnavailable: The connection broke, or the server ended the transaction; the message has the
            number of lines before that.
    """
    require_record_limit(limit)
    count = _Count()
    with _counted(count), snapshot(db, principal, Operation.EXPORT_JSONL) as tx:
        query = asked_query(tx, query)
        if tx.mask.hides and masked:
            masked()
        shown = SHOWN_FIELDS if tx.mask.hides else None
        # Closed before the snapshot ends: an open stream holds the connection's lock, for which the
        # rollback of a failed export would wait for ever.
        lines = store.elements(tx.conn, principal, query, limit=limit, shown=shown)
        with closing(lines):
            _write(lines, write, count)
    return count.records


@dataclass(slots=True)
class _Count:
    """The number of records that were handed on."""

    records: int = 0


@contextmanager
def _counted(count: _Count) -> Iterator[None]:
    """Say in the error of a stream that breaks off how far it came."""
    try:
        yield
    except DatabaseUnavailable as error:
        if count.records:
            end = "1 record" if count.records == 1 else f"{count.records:,} records"
            error.message = f"{error.message}; the output ends after {end}, the rest is missing"
            error.args = (error.message,)
        raise


def _write(lines: Iterable[str], write: Callable[[bytes], object], count: _Count) -> None:
    """Write the lines in blocks and count them."""
    size = 0
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= EXPORT_BLOCK:
            write(_block(waiting))
            count.records += len(waiting)
            waiting, size = [], 0
    write(_block(waiting))
    count.records += len(waiting)


def _block(lines: Sequence[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()


@reads(Operation.COUNT_RECORDS)
def count_records(tx: Tx, query: Query) -> int:
    """Count the matching records."""
    query = asked_query(tx, query)
    return store.count(tx.conn, tx.principal, query)


@reads(Operation.SHOW_RECORDS)
def show_records(tx: Tx, ids: Sequence[str]) -> list[RecordDetail]:
    """Show records whole, in the order of the ids.

    Raises:
        NotFound: Some of them do not exist; `details` names each.
    """
    from pfa_core.store import mirror, modifications

    named = [PfaId(given_key(pfa_id)) for pfa_id in ids]
    rows = mirror.rows(tx.conn, tx.organization_id, named)
    _require_all(tx, named, rows)
    stacks = modifications.by_record(modifications.active(tx.conn, tx.principal, named))
    return [_detail(rows[pfa_id], stacks.get(pfa_id, []), tx.mask) for pfa_id in named]


@reads(Operation.SUGGEST_VALUE)
def suggest_value(tx: Tx, filters: Filters) -> str:
    """Suggest a value for filters that match nothing.

    Says which value is unknown, and which known one is most similar; of a session also that it is unknown.
    """
    from pfa_core.store.suggestions import suggest

    return suggest(tx.conn, tx.principal, tx.asked(filters))


@reads(Operation.LIST_VALUES)
def list_values(tx: Tx, *, most: int = 100, most_ids: int = 300) -> dict[str, list[str]]:
    """List the first distinct values of the mirror's key fields.

    Args:
        most: The number of values of a field at most.
        most_ids: That of PFA ids.

    Returns:
        By field: pfaId, category, class, areaSilo, manufacturer, model, contract.
    """
    code = tx.organization_id
    ids: list[str] = [*store.first_ids(tx.conn, code, most_ids)]
    values = {field: store.first_values(tx.conn, code, field, most) for field in _KEYS}
    return {"pfaId": ids, **values}


def asked_query(tx: Tx, query: Query) -> Query:
    """Return the query as the transaction applies it.

    Raises:
        PermissionDenied: An order by money or an expression over it, which the caller may not see.
    """
    require_order(tx.principal, tx.member, query.sort, tx.operation, is_money=_is_money)
    return replace(query, filters=tx.asked(query.filters)) if query.filters.where else query


def _is_money(name: str) -> bool:
    return name in MONEY or name in COSTS


def require_record_limit(limit: int | None) -> None:
    """Refuse a number of records out of range; None means all.

    Raises:
        InvalidRequest: It is.
    """
    if limit is not None and not 0 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"a limit is 0 to {MAX_LIMIT:,}, not {limit}")


def _record(tx: Tx, row: store.RowValues) -> MergedRecord:
    pfa_id, data_json, state, session, version, at, *amounts = row
    return MergedRecord(
        pfa_id=pfa_id,
        data_json=tx.mask.record_json(data_json),
        sync_state=state,
        session_id=session,
        version=version,
        modified_at=at,
        modified_by=tx.user_id if at else None,
        masked=tx.mask.hides,
        costs=_costs(tx, amounts) if amounts else None,
    )


def _costs(tx: Tx, amounts: Sequence[Decimal | None]) -> RecordCosts:
    # Loaded for a list with costs: most have none.
    from pfa_core.model.costs import NO_COSTS, record_costs

    return NO_COSTS if tx.mask.hides else record_costs(amounts)


def _detail(
    row: mirror.BaselineRow, stack: Sequence[modifications.ModificationRow], mask: Mask
) -> RecordDetail:
    from pfa_core.model.delta import merge
    from pfa_core.store import modifications

    over_own = modifications.with_own_bases(stack, {row.pfa_id: row})
    views = [mask.view(modifications.view(item, row.data)) for item in over_own]
    overtaken = {conflict.field: conflict for item in views for conflict in item.overtaken}
    mine = merge({}, *(item.delta for item in stack))
    return RecordDetail(
        pfa_id=row.pfa_id,
        baseline=in_field_order(mask.record(row.data)),
        mine=in_field_order(mask.values(mine)),
        merged=in_field_order(mask.record(merge(row.data, mine))),
        mirror_version=row.version,
        mirror_updated_at=row.updated_at,
        missing_since=row.missing_since,
        sync_state=State(stack[-1].state) if stack else State.PRISTINE,
        modifications=views,
        overtaken=list(overtaken.values()),
        masked=mask.hides,
    )


def _require_all(tx: Tx, ids: Sequence[PfaId], found: Mapping[PfaId, Any]) -> None:
    lost = [pfa_id for pfa_id in ids if pfa_id not in found]
    if lost:
        from pfa_core.store.suggestions import like_record

        code = tx.organization_id
        what = f"record {lost[0]!r}" if len(lost) == 1 else f"{len(lost)} of {len(ids)} records"
        like = {pfa_id: like_record(tx.conn, tx.principal, pfa_id) for pfa_id in lost[:_SUGGESTED]}
        raise NotFound(
            f"{what} not found in {code}{like[lost[0]] if len(lost) == 1 else ''}",
            details=[
                Fault(pfa_id, "", FaultCode.NOT_FOUND, f"not found in {code}{like.get(pfa_id, '')}")
                for pfa_id in lost
            ],
        )
