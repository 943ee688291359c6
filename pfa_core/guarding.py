"""Judgement of a commit or a push by its guards.

They are those of the organization and of the caller. It is part of the transaction that commits: what is judged is
what that transaction stores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import Any

from pfa_core.authorization import require_guards, require_override
from pfa_core.errors import GuardExcess, InvalidRequest
from pfa_core.model.audit import Action
from pfa_core.model.costing import Costing
from pfa_core.model.guards import Extent, Guards, excesses, faults, refusal, without_amounts
from pfa_core.model.ids import RunId, SessionId
from pfa_core.model.money import ZERO, cents, cost_effect, money
from pfa_core.model.principal import Right
from pfa_core.model.query import Filters, require_text
from pfa_core.operation import Tx
from pfa_core.store import audit, leases, members

LONGEST_REASON = 1000


def checked_reason(override: str | None) -> str | None:
    """Return why limits are overridden, without blanks around it.

    Raises:
        InvalidRequest: It is empty, too long, or not a text that can be stored.
    """
    if override is None:
        return None
    require_text(override)
    reason = override.strip()
    if not reason or len(reason) > LONGEST_REASON:
        what = "empty" if not reason else f"longer than {LONGEST_REASON:,} characters"
        raise InvalidRequest(f"the reason of `override` is {what}", parameter="override")
    return reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is judged, in the words of its refusal: `the commit`.

    `kept` is what stays as it was, `fewer` how to do less at once.
    """

    what: str
    kept: str
    fewer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The limits of one commit or push, and why they are overridden.

    `places`: those of the organization, then the caller's own. `exchanges`: whether what is committed can be
    pushed, which the same statement reads.
    """

    subject: Subject
    places: Sequence[Guards]
    override: str | None = None
    exchanges: bool = True

    @property
    def of_money(self) -> bool:
        """Return whether the money of the change is asked for."""
        return any(one.of_money for one in self.places)

    @property
    def limits(self) -> bool:
        """Return whether there is any limit."""
        return self.of_money or any(one.max_records is not None for one in self.places)

    def judge(
        self,
        tx: Tx,
        extent: Extent,
        *,
        session_id: str | None = None,
        run_id: RunId | None = None,
        records: bool = True,
        overridden: Collection[str] = (),
    ) -> list[GuardExcess]:
        """Refuse what is over a limit, or record why it is done all the same.

        Args:
            session_id, run_id: The session and the run that it is about, where it is about one.
            records: Record it; else only judge.
            overridden: Limits that were overridden before, and are not looked at again.

        Returns:
            The limits that were overridden.

        Raises:
            GuardExceeded: A limit is exceeded, and no reason is given.
            PermissionDenied: One is given by a caller without the right `override_guards`.
        """
        over = [one for one in excesses(extent, self.places) if one.guard not in overridden]
        if not over:
            return []
        shown = without_amounts(over) if tx.mask.hides else over
        if self.override is None:
            raise refusal(
                self.subject.what,
                over,
                extent,
                hides_money=tx.mask.hides,
                kept=self.subject.kept,
                hint=self._hint(tx),
            )
        require_override(tx.principal, tx.member, tx.operation, faults(shown, extent))
        if records:
            kept = _kept(tx, over, extent)
            entry = audit.Entry(
                tx.new_id(),
                session_id=SessionId(session_id) if session_id else None,
                run_id=run_id,
                after=kept,
                reason=self.override,
            )
            # At a time of its own: a link's entries of one time are one operation of the user's.
            tx.audit(Action.OVERRIDE, [entry], at=leases.clock(tx.conn))
        return shown

    def _hint(self, tx: Tx) -> str:
        fewer = self.subject.fewer
        if tx.holds(Right.OVERRIDE_GUARDS):
            return f"with a reason for the audit trail: `override=REASON`; {fewer}"
        fewer = fewer.removeprefix("or ")  # nothing is said before it
        return f"{fewer}; to be over it takes the right override_guards: ask an admin"


def open_judge(tx: Tx, guards: Guards | None, override: str | None, subject: Subject) -> Judge:
    """Read the limits of the organization.

    Raises:
        PermissionDenied: Limits of money by a caller who may see none.
    """
    own = guards or Guards()
    require_guards(tx.principal, tx.member, own, tx.operation)
    of_all, exchanges = members.guards(tx.conn, tx.organization_id)
    return Judge(subject=subject, places=(of_all, own), override=override, exchanges=exchanges)


@dataclass(slots=True)
class Tally:
    """The extent of a change while its records are read, those of one together."""

    costing: Costing
    _: KW_ONLY
    records: int = 0
    _money_days: Decimal = field(default=ZERO)
    _net: Decimal = field(default=ZERO)
    _of_record: Decimal = field(default=ZERO)
    _last: str = ""

    def add(self, pfa_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Count what a record becomes."""
        self.count(pfa_id, cost_effect(before, after, self.costing))

    def count(self, pfa_id: str, effect: Decimal) -> None:
        """Count a change of a record, in money-days."""
        if pfa_id != self._last:
            self.records += 1
            self._money_days += abs(self._of_record)
            self._of_record, self._last = ZERO, pfa_id
        self._of_record += effect
        self._net += effect

    def extent(self, forecast: Decimal) -> Extent:
        """Return the extent by now."""
        return Extent(
            records=self.records,
            money=cents(money(self._money_days + abs(self._of_record))),
            net=cents(money(self._net)),
            forecast=forecast,
        )


def costing_of(tx: Tx) -> Costing:
    """Read what costs of the organization depend on."""
    return members.costing(tx.conn, tx.organization_id)


def forecast_cost(tx: Tx, judge: Judge) -> Decimal:
    """Sum the forecast cost of the mirror, as `compute_stats` does.

    It is 0 where no limit asks for it.
    """
    if all(one.max_percent is None for one in judge.places):
        return ZERO
    # Few commits ask for it.
    from pfa_core.model.kpi import cost, total
    from pfa_core.store.reads.sums import Part, sums

    found = sums(
        tx.conn, tx.principal, Part.MIRROR, Filters(), ("category",), costing=costing_of(tx)
    )
    return cost(total(found.values())).forecast.total


def _kept(tx: Tx, over: Sequence[GuardExcess], extent: Extent) -> dict[str, Any]:
    """Return what the audit trail keeps of what was over limits."""
    kept: dict[str, Any] = {"operation": str(tx.operation), "records": extent.records}
    if any(one.guard != "records" for one in over):
        kept |= {"money": extent.money, "net": extent.net}
        if extent.forecast:
            kept |= {"percent": extent.percent, "forecast": extent.forecast}
    for one in over:
        kept |= {f"max_{one.guard}": one.most, f"max_{one.guard}_of": one.source}
    return kept
