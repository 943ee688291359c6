"""The history of one record: what PEMS changed, and what users committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pfa_core.history.pems_log import require_record, versions
from pfa_core.model.audit import Action, Direction, LogEntry, LogFilter
from pfa_core.model.changes import ChangeRow, ChangeWindow, field_changes, record_change
from pfa_core.model.delta import FieldChange, changes, merge, same
from pfa_core.model.ids import PfaId
from pfa_core.model.ordering import CHANGES
from pfa_core.model.query import given_key, require_limit
from pfa_core.model.record_history import HistoryEntry, Origin, RecordHistory, origin_of
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import audit
from pfa_core.store.reads.changes import Settled, settled

_LATEST = CHANGES.parse()
# What becomes of a committed change; a draft is private until then.
_COMMITTED = (
    Action.COMMIT,
    Action.UNCOMMIT,
    Action.ACKNOWLEDGE,
    Action.REJECT,
    Action.DISPUTE,
    Action.RESOLVE,
    Action.SETTLE,
)


def _check(pfa_id: str, *, limit: int = 100) -> None:
    require_limit(limit)
    given_key(pfa_id)


@reads(Operation.RECORD_HISTORY, check=_check)
def record_history(tx: Tx, pfa_id: str, *, limit: int = 100) -> RecordHistory:
    """Show what became of a record, the latest first.

    It is what PEMS changed and what users committed, in one time line. Members see their own commits, and
    those of all users when they manage users; what a push brought names its author by the same rule.

    Args:
        limit: The maximum number of entries.

    Raises:
        NotFound: There is no such record.
    """
    named = PfaId(given_key(pfa_id))
    rows = versions(tx, ChangeWindow(), named).page(_LATEST, None, limit=limit + 1)
    if not rows:
        require_record(tx, named)
    filters = LogFilter(
        pfa_id=named,
        actions=_COMMITTED,
        user_id=None if tx.holds(OTHERS) else tx.user_id,
    )
    trail = audit.entries(tx.conn, tx.organization_id, filters, limit=limit)
    sent = pushed(tx, named, rows)
    found = [*_of_pems(tx, rows, sent), *_of_users(tx, trail, rows)]
    found.sort(key=lambda entry: entry.at, reverse=True)
    return RecordHistory(pfa_id=named, entries=found[:limit], masked=tx.mask.hides)


def pushed(tx: Tx, pfa_id: PfaId, rows: Iterable[ChangeRow]) -> list[Settled]:
    """Read the commits that brought versions of a record, if they may be seen."""
    pushes = [row.run_id for row in rows if row.run_id and row.direction is Direction.PUSH]
    return settled(tx.conn, tx.principal, pfa_id, pushes, everyone=tx.holds(OTHERS))


def author(row: ChangeRow, sent: Iterable[Settled], name: str | None = None) -> Settled | None:
    """Find the commit that a push brought to PEMS with this version.

    Args:
        name: The field that it is asked of; None: any that changed.
    """
    names = [name] if name else [item.field for item in field_changes(row.before, row.after)]
    of_run = (item for item in sent if item.run_id == row.run_id)
    return next((item for item in of_run if any(_brought(item, row, each) for each in names)), None)


def _brought(item: Settled, row: ChangeRow, name: str) -> bool:
    return name in item.delta and same(item.delta[name], row.after.get(name))


def _of_pems(tx: Tx, rows: Iterable[ChangeRow], sent: Sequence[Settled]) -> Iterator[HistoryEntry]:
    for row in rows:
        item, by = tx.mask.record_change(record_change(row)), author(row, sent)
        yield HistoryEntry(
            at=row.at,
            origin=origin_of(row.direction),
            event=row.kind,
            user_id=by.user_id if by else row.run_by,
            session_id=by.session_id if by else None,
            run_id=row.run_id,
            changes=item.changes,
            cost_effect=item.cost_effect,
            reason=by.reason if by else None,
            masked=item.masked,
        )


def _of_users(
    tx: Tx, trail: Iterable[LogEntry], rows: Sequence[ChangeRow]
) -> Iterator[HistoryEntry]:
    brought = {row.run_id for row in rows}
    for entry in trail:
        # The version that arrived with it says the same.
        if entry.action == Action.ACKNOWLEDGE and entry.run_id in brought:
            continue
        items = _changes(entry, _pems_at(rows, entry.at))
        shown = tx.mask.log_entry(entry)
        yield HistoryEntry(
            at=entry.at,
            origin=Origin.USER,
            event=entry.action,
            user_id=entry.user_id,
            session_id=entry.session_id,
            run_id=entry.run_id,
            changes=tx.mask.changes(items, {item.field: None for item in items}),
            cost_effect=None,
            reason=shown.reason,
            masked=tx.mask.hides,
        )


def _changes(entry: LogEntry, pems: Mapping[str, Any]) -> list[FieldChange]:
    """Return the fields that an entry is about.

    Those of a commit are compared with PEMS at that time.
    """
    before: Mapping[str, Any] = entry.before or {}
    after: Mapping[str, Any] = entry.after or {}
    if entry.action in (Action.COMMIT, Action.ACKNOWLEDGE):
        return changes(pems, merge(pems, after))
    return changes(before, after)


def _pems_at(rows: Sequence[ChangeRow], at: datetime) -> Mapping[str, Any]:
    """Return the record as PEMS had it just before a time; rows come latest first."""
    for row in rows:
        if row.at < at:
            return row.after
    return (rows[-1].before or {}) if rows else {}
