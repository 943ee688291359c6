"""The history of one record: what PEMS changed, and what users committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pfa_core.history.authors import PEMS, Author, author, pushed
from pfa_core.history.pems_log import require_record, versions
from pfa_core.model.audit import Action, LogEntry, LogFilter
from pfa_core.model.changes import ChangeRow, ChangeWindow, RecordChange, record_change
from pfa_core.model.costing import Costing
from pfa_core.model.delta import FieldChange, changes, merge
from pfa_core.model.ids import PfaId
from pfa_core.model.money import cents, cost_effect, money
from pfa_core.model.ordering import CHANGES
from pfa_core.model.query import given_key, require_limit
from pfa_core.model.record_history import HistoryEntry, Origin, RecordHistory
from pfa_core.model.rights import OTHERS, Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import audit, members
from pfa_core.store.reads.changes import Settled

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
    those of all users when they manage users; what a push brought names its author by the same rule. A version
    that has changes of several authors, or of one and of PEMS, is an entry of each.

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


def _of_pems(tx: Tx, rows: Iterable[ChangeRow], sent: Sequence[Settled]) -> Iterator[HistoryEntry]:
    costing = members.costing(tx.conn, tx.organization_id)
    for row in rows:
        for by, part in _parts(row, sent, costing):
            item = tx.mask.record_change(part)
            yield HistoryEntry(
                at=row.at,
                origin=by.origin,
                event=row.kind,
                user_id=by.user_id or row.run_by,
                session_id=by.session_id,
                run_id=row.run_id,
                changes=item.changes,
                cost_effect=item.cost_effect,
                reason=by.reason,
                masked=item.masked,
            )


def _parts(
    row: ChangeRow, sent: Sequence[Settled], costing: Costing
) -> list[tuple[Author, RecordChange]]:
    """Divide a version by the authors of its fields.

    What PEMS changed comes last, as the earliest: it was there before the push wrote.
    """
    whole = record_change(row)
    by_author: dict[Author, list[FieldChange]] = {}
    for item in whole.changes:
        by_author.setdefault(author(row, sent, item.field), []).append(item)
    if len(by_author) < 2:
        one = next(iter(by_author), None) or _of_all(row, sent)
        return [(one, whole)]
    parts: list[tuple[Author, RecordChange]] = []
    record, left = dict(row.before or {}), whole.cost_effect
    for by in sorted(by_author, key=lambda each: each.origin is not Origin.PEMS):
        after = merge(record, {item.field: item.after for item in by_author[by]})
        # The last part has the rest, so that the parts add up to the version's own effect, rounded.
        rest = len(parts) == len(by_author) - 1
        effect = left if rest else cents(money(cost_effect(record, after, costing)))
        parts.insert(0, (by, replace(whole, changes=tuple(by_author[by]), cost_effect=effect)))
        if left is not None and effect is not None:
            left -= effect
        record = after
    return parts


def _of_all(row: ChangeRow, sent: Sequence[Settled]) -> Author:
    """Name the author of a version without a changed field: a record that is new."""
    found = (author(row, sent, name) for name in row.after)
    return next((by for by in found if by.origin is not Origin.PEMS), PEMS)


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
