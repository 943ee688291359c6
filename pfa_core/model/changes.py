"""Changes of records in PEMS, as the mirror has seen them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pfa_core.errors import InvalidRequest
from pfa_core.model.audit import Direction
from pfa_core.model.delta import STAMP, FieldChange, changes
from pfa_core.model.ids import PfaId, RunId, UserId
from pfa_core.model.money import ZERO, Amount, cents, money


class ChangeKind(StrEnum):
    """What became of a record."""

    NEW = "new"
    CHANGED = "changed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWindow:
    """The time that changes are asked of.

    `since` is inclusive, `until` is not; None: no bound. `run_id` stands for one run's own changes, and
    `since_run` for those of a run and of all that came after it began.

    Raises:
        InvalidRequest: A run beside times, or two beginnings.
    """

    since: datetime | None = None
    until: datetime | None = None
    run_id: str | None = None
    since_run: str | None = None

    def __post_init__(self) -> None:
        if self.run_id and (self.since or self.until or self.since_run):
            raise InvalidRequest("`run_id` cannot be combined with `since` or `until`")
        if self.since and self.since_run:
            raise InvalidRequest("`since` and `since_run` cannot be combined")
        for name in ("since", "until"):
            at = getattr(self, name)
            if at is not None and at.tzinfo is None:
                object.__setattr__(self, name, at.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """One record before and after.

    `changes` are empty for a new record and for one that is only missing. PEMS's version stamp is among them
    where it is all that differs. `cost_effect` is what the change adds to the forecast cost; None where it
    is `masked`. `run_id`, `direction` and `run_by`: the run that brought the last change, and its user; a
    push brings what was committed here, and what it found changed in PEMS.
    """

    pfa_id: PfaId
    change: ChangeKind
    changed_at: datetime
    changes: tuple[FieldChange, ...]
    cost_effect: Amount
    version: int
    run_id: RunId | None
    direction: Direction | None
    run_by: UserId | None
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTotals:
    """Numbers of changed records by kind, and the effect on the forecast cost.

    The effect is rounded once, at the end; None where it is `masked`.
    """

    new: int = 0
    changed: int = 0
    missing: int = 0
    cost_effect: Amount = None
    masked: bool = False

    @property
    def record_count(self) -> int:
        """Return how many records are new, changed or missing."""
        return self.new + self.changed + self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """Some of the changes in order, and the totals of all.

    `next` is the cursor after the last one, None at the end.
    """

    changes: list[RecordChange]
    totals: ChangeTotals
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change as it is read, with costs in money-days.

    `before` is None where there was no record.
    """

    pfa_id: PfaId
    kind: ChangeKind
    at: datetime
    version: int
    run_id: RunId | None
    direction: Direction | None
    run_by: UserId | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    cost_before: Decimal
    cost_after: Decimal


def record_change(row: ChangeRow) -> RecordChange:
    """Describe a change, field by field."""
    return RecordChange(
        pfa_id=row.pfa_id,
        change=row.kind,
        changed_at=row.at,
        changes=field_changes(row.before, row.after),
        cost_effect=cents(money(row.cost_after - row.cost_before)),
        version=row.version,
        run_id=row.run_id,
        direction=row.direction,
        run_by=row.run_by,
    )


def field_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> tuple[FieldChange, ...]:
    """Return the fields that differ; of a new record none.

    The stamp, which every change of PEMS moves, is left out beside other fields.
    """
    if before is None:
        return ()
    found = changes(before, after)
    others = tuple(item for item in found if item.field != STAMP)
    return others or tuple(found)


@dataclass(slots=True, kw_only=True)
class ChangeCount:
    """Totals of the changes that a stream has yielded so far."""

    masked: bool = False
    _totals: ChangeTotals = ChangeTotals()
    _money_days: Decimal = ZERO

    def add(self, row: ChangeRow) -> None:
        """Count a change with its exact effect."""
        number = {str(row.kind): getattr(self._totals, row.kind) + 1}
        self._totals = replace(self._totals, **number)
        self._money_days += row.cost_after - row.cost_before

    @property
    def totals(self) -> ChangeTotals:
        """Return the totals of what was yielded so far, the effect rounded once."""
        effect = None if self.masked else cents(money(self._money_days))
        return replace(self._totals, cost_effect=effect, masked=self.masked)
