"""The log of PEMS: every change of a record, as runs brought it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice

from pfa_core.errors import NotFound
from pfa_core.history.spans import span_of
from pfa_core.model.changes import ChangeWindow, RecordChange, record_change
from pfa_core.model.ids import PfaId
from pfa_core.model.ordering import CHANGES
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, given_key, require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, snapshot
from pfa_core.store import members, mirror
from pfa_core.store.database import Database
from pfa_core.store.reads.changes import Changes
from pfa_core.store.suggestions import like_record

_LATEST = CHANGES.parse()


def _check(
    window: ChangeWindow,  # noqa: ARG001 - a check takes what the operation takes
    *,
    pfa_id: str | None = None,
    limit: int = 100,
) -> None:
    require_limit(limit)
    if pfa_id:
        given_key(pfa_id)


@reads(Operation.LIST_PEMS_LOG, check=_check)
def list_pems_log(
    tx: Tx, window: ChangeWindow, *, pfa_id: str | None = None, limit: int = 100
) -> list[RecordChange]:
    """List what changed in PEMS, the latest first: a record as often as it changed.

    Args:
        pfa_id: Only this record.

    Raises:
        NotFound: There is no such run or record.
    """
    found = _changes(tx, window, pfa_id)
    rows = found.page(_LATEST, None, limit=limit)
    if not rows:
        require_record(tx, pfa_id)
    return [tx.mask.record_change(record_change(row)) for row in rows]


def stream_pems_log(
    db: Database,
    principal: Principal,
    window: ChangeWindow,
    *,
    pfa_id: str | None = None,
    limit: int = 100,
) -> Iterator[RecordChange]:
    """Yield what `list_pems_log` returns, in constant memory and from one snapshot."""
    _check(window, pfa_id=pfa_id, limit=limit)
    found = _stream(db, principal, window, pfa_id, limit)
    first = list(islice(found, 1))  # read at once: a refusal precedes any output
    return chain(first, found)


def _stream(
    db: Database, principal: Principal, window: ChangeWindow, pfa_id: str | None, limit: int
) -> Iterator[RecordChange]:
    with snapshot(db, principal, Operation.STREAM_PEMS_LOG) as tx:
        number = 0
        found = _changes(tx, window, pfa_id)
        with closing(found.stream(_LATEST, None, limit=limit)) as rows:
            for row in rows:
                number += 1
                yield tx.mask.record_change(record_change(row))
        if not number:
            require_record(tx, pfa_id)


def versions(tx: Tx, window: ChangeWindow, pfa_id: PfaId | None) -> Changes:
    """Return each version of records, or of one record, against the one before it."""
    return Changes(
        conn=tx.conn,
        principal=tx.principal,
        span=span_of(tx, window, each=True, pfa_id=pfa_id),
        filters=Filters(),
        costing=members.costing(tx.conn, tx.organization_id),
    )


def require_record(tx: Tx, pfa_id: str | None) -> None:
    """Refuse an unknown id, which would look like a record that never changed.

    Raises:
        NotFound: The organization has no such record.
    """
    if pfa_id is None:
        return
    named = PfaId(given_key(pfa_id))
    if not mirror.rows(tx.conn, tx.organization_id, [named]):
        raise NotFound(
            f"record {named[:80]!r} not found in {tx.organization_id}"
            f"{like_record(tx.conn, tx.principal, named)}",
            hint="type: pfa list --search TEXT",
        )


def _changes(tx: Tx, window: ChangeWindow, pfa_id: str | None) -> Changes:
    return versions(tx, window, PfaId(given_key(pfa_id)) if pfa_id else None)
