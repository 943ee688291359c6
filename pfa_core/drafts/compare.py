"""Two sessions of the caller beside each other."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pfa_core.drafts.diff import require_session
from pfa_core.drafts.listing import BY_ID, active, matches
from pfa_core.errors import InvalidRequest
from pfa_core.masking import Mask
from pfa_core.model.costing import Costing
from pfa_core.model.delta import merge, same
from pfa_core.model.ids import PfaId
from pfa_core.model.money import ZERO, Amount, cents, forecast_money_days, money
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import MONEY, Operation
from pfa_core.operation import Tx, snapshot
from pfa_core.store import members
from pfa_core.store.database import Database
from pfa_core.store.mirror import BaselineRow


class In(StrEnum):
    """Which of two sessions changes a field."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedField:
    """A field that two sessions change differently.

    A side that leaves it has PEMS's value. Where money is hidden, its values are None.
    """

    pfa_id: PfaId
    field: str
    changed_in: In
    pems: Any
    first: Any
    second: Any
    masked: bool = False


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Sums over the fields that were yielded so far.

    The effects are those of each session alone, over PEMS's values; None where `masked`.
    """

    record_count: int = 0
    field_count: int = 0
    same_count: int = 0
    masked: bool = False
    _first: Decimal = ZERO
    _second: Decimal = ZERO

    @property
    def first_effect(self) -> Amount:
        """Return the effect of the first session on the forecast's cost."""
        return None if self.masked else cents(money(self._first))

    @property
    def second_effect(self) -> Amount:
        """Return the effect of the second session on the forecast's cost."""
        return None if self.masked else cents(money(self._second))

    def add(self, fields: int, equal: int, first: Decimal, second: Decimal) -> None:
        """Count a record, with its exact effects."""
        self.record_count += bool(fields)
        self.field_count += fields
        self.same_count += equal
        self._first += first
        self._second += second


def compare_sessions(
    db: Database,
    principal: Principal,
    sessions: tuple[str, str],
    filters: Filters,
    *,
    totals: Comparison | None = None,
) -> Iterator[ComparedField]:
    """Yield each field that two sessions of the caller change differently.

    In PFA id order, in constant memory and from one snapshot. Fields that both change to the same value are
    counted only.

    Args:
        totals: Has the sums of the records read so far.

    Raises:
        InvalidRequest: Both are the same session.
        NotFound: The caller never had one of them, or discarded it.
        PermissionDenied: An expression over money, which the caller may not see.
    """
    if sessions[0] == sessions[1]:
        raise InvalidRequest(f"a session is not compared with itself: {sessions[0]}")
    counted = Comparison() if totals is None else totals
    with (
        snapshot(db, principal, Operation.COMPARE_SESSIONS) as tx,
        closing(_compared(tx, sessions, tx.asked(filters), counted)) as found,
    ):
        yield from found


def _compared(
    tx: Tx, sessions: tuple[str, str], filters: Filters, totals: Comparison
) -> Generator[ComparedField, None, None]:
    totals.masked = tx.mask.hides
    for session_id in sessions:
        require_session(tx, session_id)
    costing = members.costing(tx.conn, tx.organization_id)
    filters = replace(filters, session=sessions)
    with closing(active(tx, filters, BY_ID)) as found:
        for rows, baseline in found:
            deltas: dict[PfaId, dict[str, dict[str, Any]]] = {}
            for (
                row
            ) in rows:  # of one session a record may have what is committed and a draft over it
                if matches(row, filters):
                    by_session = deltas.setdefault(row.pfa_id, {})
                    by_session.setdefault(row.session_id, {}).update(row.delta)
            for pfa_id, by_session in deltas.items():
                sides = [by_session.get(session_id, {}) for session_id in sessions]
                yield from _of_record(tx.mask, baseline[pfa_id], sides, costing, totals)


def _of_record(
    mask: Mask,
    baseline: BaselineRow,
    sides: Sequence[Mapping[str, Any]],
    costing: Costing,
    totals: Comparison,
) -> Iterator[ComparedField]:
    first, second = sides
    names = [name for name in FIELDS if name in first or name in second]
    differing = [name for name in names if _differs(name, first, second, mask)]
    unchanged = forecast_money_days(merge(baseline.data), costing)
    effects = [
        forecast_money_days(merge(baseline.data, side), costing) - unchanged for side in sides
    ]
    totals.add(len(differing), len(names) - len(differing), effects[0], effects[1])
    for name in differing:
        held = baseline.data.get(name)
        values = (held, first.get(name, held), second.get(name, held))
        hidden = mask.hides and name in MONEY
        pems, one, two = (None, None, None) if hidden else values
        yield ComparedField(
            pfa_id=baseline.pfa_id,
            field=name,
            changed_in=In.BOTH if name in first and name in second else In.FIRST if name in first else In.SECOND,
            pems=pems,
            first=one,
            second=two,
            masked=mask.hides,
        )  # fmt: skip


def _differs(name: str, first: Mapping[str, Any], second: Mapping[str, Any], mask: Mask) -> bool:
    """Return whether the sides differ in a field.

    Of hidden money it is whether either changes it.
    """
    if mask.hides and name in MONEY:
        return True
    return not (name in first and name in second and same(first[name], second[name]))
