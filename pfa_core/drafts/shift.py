"""Forecast dates of drafts moved by days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.drafts.save import matching_ids, save_over
from pfa_core.drafts.save_plan import SaveOptions, SaveResult
from pfa_core.errors import (
    Fault,
    FaultCode,
    InvalidRequest,
)
from pfa_core.model.delta import Change, Record, merge
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.rights import Operation
from pfa_core.store import mirror, modifications
from pfa_core.store.database import Database
from pfa_core.store.modifications import by_record

_SHIFTED = ("forecastStart", "forecastEnd")


def shift(
    db: Database,
    principal: Principal,
    filters: Filters,
    days: int,
    *,
    reason: str | None = None,
    session_id: str | None = None,
    move: bool = False,
    partial: bool = False,
    dry_run: bool = False,
) -> SaveResult:
    """Move both forecast dates of every matching record by whole days, back when negative.

    Actualized records are refused: their start is history (BUSINESS_RULE_VIOLATION); filter them
    out, or keep the others with `partial`.
    """
    if not days or abs(days) > 36_500:
        raise InvalidRequest(f"cannot shift by {days} days")

    def changes(conn: Connection[Any]) -> tuple[list[Change], list[Fault]]:
        ids = matching_ids(conn, principal, filters)
        # Locked before they are read: else a pull in between would be shifted back unseen.
        rows = mirror.lock_records(conn, principal.organization_id, ids)
        stacks = by_record(modifications.active(conn, principal, ids))
        merged = {
            pfa_id: merge(row.data, *(item.delta for item in stacks.get(pfa_id, [])))
            for pfa_id, row in rows.items()
        }
        return _shifted(ids, merged, days, reason)

    options = SaveOptions(move=move, partial=partial)
    written = (Operation.SHIFT, _SHIFTED)
    return save_over(db, principal, filters, changes, session_id, options, written, dry_run=dry_run)


def _shifted(
    ids: Sequence[str], records: Mapping[str, Record], days: int, reason: str | None
) -> tuple[list[Change], list[Fault]]:
    changes: list[Change] = []
    faults: list[Fault] = []
    for pfa_id in ids:
        merged = records.get(pfa_id, {})
        if merged.get("isActualized"):
            faults.append(
                Fault(
                    pfa_id,
                    "forecastStart",
                    FaultCode.BUSINESS_RULE_VIOLATION,
                    "is actualized: its start is history; --no-actualized leaves such records out",
                )
            )
            continue
        try:
            delta = {
                name: (date.fromisoformat(merged[name]) + timedelta(days)).isoformat()
                for name in _SHIFTED
                if merged.get(name)
            }
        except OverflowError:
            faults.append(
                Fault(pfa_id, "forecastStart", FaultCode.INVALID_RANGE, "would leave the calendar")
            )
            continue
        if delta or not merged:
            changes.append(Change(pfa_id, delta or {"forecastStart": None}, reason))
    return changes, faults
