"""Merged records: baseline ‖ the principal's own modifications, one row per record always."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core import exact_json
from pfa_core.authorization import authorize, require_order
from pfa_core.errors import Fault, FaultCode, InvalidRequest, NotFound
from pfa_core.masking import SHOWN_FIELDS, Mask, mask_for
from pfa_core.model.delta import FieldConflict, merge
from pfa_core.model.modification import ModificationView, State
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from pfa_core.model.rights import Operation
from pfa_core.store import mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.modifications import by_record
from pfa_core.store.reads import merged as store
from pfa_core.store.suggestions import nearest

MAX_PAGE_SIZE = 10_000
MAX_LIMIT = 10**12
EXPORT_BLOCK = 64 * 1024  # characters


@dataclass(frozen=True, slots=True)
class MergedRecord:
    """One record as the principal sees it.

    `data_json` is the merged record as PostgreSQL writes it, every digit kept; the rest speaks of
    the topmost modification: version 0 and None where the record is pristine. Where `masked`, money
    is null.
    """

    pfa_id: str
    data_json: str
    sync_state: str
    session_id: str | None
    version: int
    modified_at: datetime | None
    modified_by: str | None
    masked: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """The merged record; numbers with a point are Decimal."""
        return exact_json.loads(self.data_json)


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some of the matching records in order, and how many there are. `next` is the cursor behind
    the last one, None at the end."""

    records: list[MergedRecord]
    total_records: int
    page: int
    page_size: int
    next: str | None

    @property
    def total_pages(self) -> int:
        """How many pages of this size there are."""
        return -(-self.total_records // self.page_size)


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """One record whole: the mirror's values, the principal's stacked delta, both merged. Where
    `masked`, money is None."""

    pfa_id: str
    baseline: Mapping[str, Any]
    mine: Mapping[str, Any]
    merged: Mapping[str, Any]
    mirror_version: int
    mirror_updated_at: datetime
    missing_since: datetime | None
    sync_state: str
    modifications: list[ModificationView]
    overtaken: list[FieldConflict]
    masked: bool = False


def list_records(
    db: Database, principal: Principal, query: Query, *, page: int = 1, page_size: int = 100
) -> RecordPage:
    """One page of the matching records.

    Args:
        page: From 1; ignored when the query continues behind a cursor, which costs the same at any depth.
        page_size: 1 to 10,000.

    Raises:
        InvalidRequest: Page, size or cursor make no sense.
        NotFound, Forbidden, PermissionDenied: See `guard.enter`.
        PermissionDenied: An order by money, which the principal may not see.
    """
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidRequest(f"a page has 1 to {MAX_PAGE_SIZE:,} records, not {page_size}")
    if not 1 <= page <= 10**9:
        raise InvalidRequest(f"pages count from 1, there is no page {page}")
    offset = 0 if query.after else (page - 1) * page_size

    def work(conn: Connection[Any]) -> RecordPage:
        mask = _enter(conn, principal, query, Operation.LIST_RECORDS)
        rows, cursor = store.page(conn, principal, query, limit=page_size, offset=offset)
        total = store.count(conn, principal, query)
        records = [_record(row, principal, mask) for row in rows]
        return RecordPage(records, total, page, page_size, cursor)

    return db.read(work)


def stream_records(
    db: Database, principal: Principal, query: Query, *, limit: int | None = None
) -> Iterator[MergedRecord]:
    """Every matching record in order, one at a time, in constant memory and from one snapshot."""
    _require_limit(limit)
    with db.snapshot() as conn:
        mask = _enter(conn, principal, query, Operation.STREAM_RECORDS)
        for row in store.stream(conn, principal, query, limit=limit):
            yield _record(row, principal, mask)


def export_jsonl(
    db: Database,
    principal: Principal,
    query: Query,
    write: Callable[[bytes], object],
    *,
    limit: int | None = None,
    masked: Callable[[], object] | None = None,
) -> int:
    """Write every matching record in order as a line of JSON; how many they were.

    The lines are those of `pfa list -o jsonl`: pfaId, data (merged, every digit kept), syncState,
    sessionId, version, modifiedAt, modifiedBy. From one snapshot and in constant memory.

    Args:
        write: Takes UTF-8 bytes, some whole lines at a time.
        masked: Called once, before anything is written, when money is null in the lines.
    """
    _require_limit(limit)
    written, size = 0, 0
    waiting: list[str] = []
    with db.snapshot() as conn:
        mask = _enter(conn, principal, query, Operation.EXPORT_JSONL)
        if mask.hides and masked:
            masked()
        shown = SHOWN_FIELDS if mask.hides else None
        for line in store.elements(conn, principal, query, limit=limit, shown=shown):
            waiting.append(line)
            size += len(line)
            if size >= EXPORT_BLOCK:
                write(_lines(waiting))
                written, waiting, size = written + len(waiting), [], 0
        write(_lines(waiting))
    return written + len(waiting)


def _lines(texts: Sequence[str]) -> bytes:
    return "\n".join([*texts, ""]).encode()


def count_records(db: Database, principal: Principal, query: Query) -> int:
    """How many records match."""

    def work(conn: Connection[Any]) -> int:
        _enter(conn, principal, query, Operation.COUNT_RECORDS)
        return store.count(conn, principal, query)

    return db.read(work)


def show_records(db: Database, principal: Principal, ids: Sequence[str]) -> list[RecordDetail]:
    """Records whole, in the order asked for.

    Raises:
        NotFound: Some of them do not exist; `details` names each.
    """

    def work(conn: Connection[Any]) -> list[RecordDetail]:
        mask = mask_for(principal, authorize(conn, principal, Operation.SHOW_RECORDS))
        Filters(id=tuple(ids))
        rows = mirror.rows(conn, principal.organization_id, ids)
        _require_all(ids, rows, principal)
        stacks = by_record(modifications.active(conn, principal, ids))
        return [_detail(rows[pfa_id], stacks.get(pfa_id, []), mask) for pfa_id in ids]

    return db.read(work)


def nearest_value(db: Database, principal: Principal, filters: Filters) -> str:
    """For filters that found nothing: which value exists nowhere and which one comes nearest."""

    def work(conn: Connection[Any]) -> str:
        authorize(conn, principal, Operation.NEAREST_VALUE)
        return nearest(conn, principal, filters)

    return db.read(work)


def _enter(conn: Connection[Any], principal: Principal, query: Query, operation: Operation) -> Mask:
    """Let the principal ask the query; what hides money from them in the answer."""
    member = authorize(conn, principal, operation)
    require_order(principal, member, query.sort, operation)
    return mask_for(principal, member)


def _require_limit(limit: int | None) -> None:
    if limit is not None and not 0 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"a limit is 0 to {MAX_LIMIT:,}, not {limit}")


def _record(row: store.RowValues, principal: Principal, mask: Mask) -> MergedRecord:
    pfa_id, data_json, state, session, version, at = row
    by = principal.user_id if at else None
    if mask.hides:
        data_json = mask.record_json(data_json)
    return MergedRecord(pfa_id, data_json, state, session, version, at, by, mask.hides)


def _detail(
    row: mirror.BaselineRow, stack: Sequence[modifications.ModificationRow], mask: Mask
) -> RecordDetail:
    views = [mask.view(modifications.view(item, row.data)) for item in stack]
    overtaken = {conflict.field: conflict for item in views for conflict in item.overtaken}
    mine = merge({}, *(item.delta for item in stack))
    return RecordDetail(
        row.pfa_id,
        mask.record(row.data),
        mask.values(mine),
        mask.record(merge(row.data, mine)),
        row.version,
        row.updated_at,
        row.missing_since,
        stack[-1].state if stack else State.PRISTINE,
        views,
        list(overtaken.values()),
        mask.hides,
    )


def _require_all(ids: Sequence[str], found: Mapping[str, Any], principal: Principal) -> None:
    lost = [pfa_id for pfa_id in ids if pfa_id not in found]
    if lost:
        code = principal.organization_id
        what = f"record {lost[0]!r}" if len(lost) == 1 else f"{len(lost)} of {len(ids)} records"
        raise NotFound(
            f"{what} not found in {code}",
            details=[
                Fault(pfa_id, "", FaultCode.NOT_FOUND, f"is no record of {code}") for pfa_id in lost
            ],
        )
