"""KPIs computed the slow way: record by record, in fractions, with no code of the library's.

Only the shape of the answer, `Figures`, is the library's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

from pfa_core.model.figures import Cost, Figures, PhaseCost

Record = Mapping[str, Any]
_MONTH = Fraction(3044, 100)
_DAYS_OF = {"month": _MONTH, "week": Fraction(7), "day": Fraction(1), "28-day": Fraction(28)}


@dataclass(frozen=True)
class Settings:
    """What an organization's sums depend on: its currency, the unit of rates that name none."""

    currency: str | None = None
    rate_uom: str = "month"

    def counts(self, record: Record) -> bool:
        """Whether the record is in the organization's currency."""
        return self.currency in (None, record.get("currency") or self.currency)

    def daily(self, record: Record) -> Fraction:
        """What a rental costs a day."""
        unit = record.get("rateUom") or self.rate_uom
        return (
            _money(record, "monthlyRate") / _DAYS_OF[unit] if self.counts(record) else Fraction(0)
        )

    def price(self, record: Record) -> Fraction:
        """What a purchase costs."""
        return _money(record, "purchasePrice") if self.counts(record) else Fraction(0)


MONTHLY = Settings()


def figures(
    pairs: Iterable[tuple[Record, Record]],
    drafts: int = 0,
    *,
    before: Iterable[Record] | None = None,
    settings: Settings = MONTHLY,
) -> Figures:
    """The figures of records given as (as the mirror has it, as the user sees it).

    Args:
        before: The mirror's records that the same question finds without the user's changes; those
            of the pairs unless others are given.
    """
    pairs = list(pairs)
    seen = [merged for _, merged in pairs]
    plan = [baseline for baseline, _ in pairs]
    theirs = plan if before is None else list(before)
    cost, without = _cost(plan, seen, settings), _cost(theirs, theirs, settings)
    impact = sum(_phase(seen, "forecast", settings)) - sum(_phase(theirs, "forecast", settings))
    foreign = [r["currency"] for r in seen if not settings.counts(r)]
    named = [r["currency"] for r in seen if r.get("currency") and settings.currency is None]
    return Figures(
        total_records=len(seen),
        actualized_count=_count(seen, "isActualized"),
        discontinued_count=_count(seen, "isDiscontinued"),
        funds_transferable_count=_count(seen, "isFundsTransferable"),
        draft_count=drafts,
        total_monthly_rental=_cents(
            sum(settings.daily(r) * _MONTH for r in seen if r["source"] != "Purchase")
        ),
        total_purchase_cost=_cents(
            sum(settings.price(r) for r in seen if r["source"] == "Purchase")
        ),
        cost=cost,
        baseline_cost=without,
        draft_impact=_cents(impact),
        rentals_without_start=_lacking(seen, "Rental", "forecastStart"),
        rentals_without_end=_lacking(seen, "Rental", "forecastEnd"),
        rentals_without_rate=_lacking(seen, "Rental", "monthlyRate"),
        purchases_without_price=_lacking(seen, "Purchase", "purchasePrice"),
        excluded_count=len(foreign),
        excluded=dict(Counter(foreign)),
        currencies=dict(Counter(named)),
    )


def by_category(records: Iterable[Record]) -> dict[str, int]:
    """How many records each category has; none is ""."""
    return dict(Counter(record["category"] or "" for record in records))


def _lacking(records: list[Record], source: str, name: str) -> int:
    return sum(
        r["source"] == source
        and r[name] is None
        and not (r["isDiscontinued"] or r["isFundsTransferable"])
        for r in records
    )


def _cost(plan_of: list[Record], rest_of: list[Record], settings: Settings) -> Cost:
    plan = _phase(plan_of, "original", settings)
    forecast = _phase(rest_of, "forecast", settings)
    variance = sum(forecast) - sum(plan)
    percent = variance / sum(plan) * 100 if sum(plan) > 0 else Fraction(0)
    return Cost(
        plan=_shown(plan),
        forecast=_shown(forecast),
        actual=_shown(_phase(rest_of, "actual", settings)),
        variance=_cents(variance),
        variance_pct=_cents(percent),
    )


def _phase(records: list[Record], name: str, settings: Settings) -> tuple[Fraction, Fraction]:
    rental = purchase = Fraction(0)
    for record in records:
        start, end = record[f"{name}Start"], record[f"{name}End"]
        if record["isDiscontinued"] or record["isFundsTransferable"]:
            continue
        if name == "actual" and (start is None or end is None):
            continue
        if record["source"] == "Purchase":
            purchase += settings.price(record)
        elif start and end:
            days = (date.fromisoformat(end) - date.fromisoformat(start)).days
            rental += max(days, 0) * settings.daily(record)
    return rental, purchase


def _shown(phase: tuple[Fraction, Fraction]) -> PhaseCost:
    return PhaseCost(_cents(phase[0]), _cents(phase[1]), _cents(sum(phase)))


def _money(record: Record, name: str) -> Fraction:
    return Fraction(record[name] or 0)


def _count(records: list[Record], flag: str) -> int:
    return sum(bool(record[flag]) for record in records)


def _cents(amount: Fraction | int) -> Decimal:
    """Rounded half up, away from zero."""
    cents = floor(abs(Fraction(amount)) * 100 + Fraction(1, 2))
    return Decimal(cents if amount >= 0 else -cents).scaleb(-2) + 0
