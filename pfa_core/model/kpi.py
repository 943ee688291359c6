"""KPIs: exact sums over records, with the figures computed from them.

Formulas (the field's own, see docs/explanation.md): days = end − start, the end exclusive, never
below 0; months = days / 30.44; a rental costs months × monthlyRate, a purchase its price whatever
the dates; the actual cost counts only with both actual dates. The division and the rounding, half
up to cents, happen once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, LiteralString, NamedTuple

from pfa_core.model.figures import Cost, Figures, PhaseCost

DAYS_PER_MONTH = Decimal("30.44")
CENT = Decimal("0.01")
ZERO = Decimal(0)

GROUP_DIMENSIONS: Mapping[str, LiteralString] = {
    "category": "category",
    "class": "class",
    "source": "source",
    "dor": "dor",
    "areaSilo": "area_silo",
    "isActualized": "is_actualized",
    "isDiscontinued": "is_discontinued",
    "isFundsTransferable": "is_funds_transferable",
    "manufacturer": "manufacturer",
    "model": "model",
    "contract": "contract",
}
# Not a column of a record: its money is spread over the months, see `model.months`.
MONTH = "month"
DIMENSIONS = (*GROUP_DIMENSIONS, MONTH)
EXACT = Context(prec=200)


class Sums(NamedTuple):
    """The additive parts of KPIs: counts and undivided money.

    `*_rate_days` are Σ(days × monthly rate) of rentals, `*_purchase` Σ prices of purchases; both only over
    records that count for costs. A tuple, since thousands of them are added up for one answer.
    """

    record_count: int = 0
    actualized: int = 0
    discontinued: int = 0
    transferable: int = 0
    drafts: int = 0
    monthly_rental: Decimal = ZERO
    purchase_cost: Decimal = ZERO
    plan_rate_days: Decimal = ZERO
    plan_purchase: Decimal = ZERO
    forecast_rate_days: Decimal = ZERO
    forecast_purchase: Decimal = ZERO
    actual_rate_days: Decimal = ZERO
    actual_purchase: Decimal = ZERO

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """Add the other sums (`sign=-1`: subtract them)."""
        with localcontext(EXACT):
            pairs: Any = zip(self, other, strict=True)
            if sign > 0:
                return Sums._make([one + two for one, two in pairs])
            return Sums._make([one - two for one, two in pairs])


def total(parts: Iterable[Sums]) -> Sums:
    """Add up all parts."""
    columns = list(zip(*parts, strict=True))
    if not columns:
        return Sums()
    with localcontext(EXACT):
        return Sums._make(map(sum, columns))


def figures(merged: Sums, baseline: Sums) -> Figures[Decimal]:
    """Compute the figures of sums.

    `merged` are the sums with the caller's modifications, `baseline` those of the mirror only.
    """
    with localcontext(EXACT):
        return Figures(
            total_records=merged.record_count,
            actualized_count=merged.actualized,
            discontinued_count=merged.discontinued,
            funds_transferable_count=merged.transferable,
            draft_count=merged.drafts,
            total_monthly_rental=cents(merged.monthly_rental),
            total_purchase_cost=cents(merged.purchase_cost),
            cost=cost(merged),
            baseline_cost=cost(baseline),
            draft_impact=impact(merged, baseline),
        )


def cost(sums: Sums) -> Cost[Decimal]:
    """Compute the cost of the sums in each phase, and the variance."""
    with localcontext(EXACT):
        return Cost(
            plan=_phase(sums.plan_rate_days, sums.plan_purchase),
            forecast=_phase(sums.forecast_rate_days, sums.forecast_purchase),
            actual=_phase(sums.actual_rate_days, sums.actual_purchase),
            variance=cents(money(_forecast(sums) - _plan(sums))),
            variance_pct=variance_pct(sums),
        )


def variance_pct(sums: Sums) -> Decimal:
    """Compute the variance in per cent of the plan, 0 without one."""
    with localcontext(EXACT):
        plan = _plan(sums)
        return cents((_forecast(sums) - plan) * 100 / plan) if plan > 0 else Decimal("0.00")


def impact(merged: Sums, baseline: Sums) -> Decimal:
    """Compute what the caller's modifications add to the forecast, in cents exactly."""
    with localcontext(EXACT):
        return cents(money(_forecast(merged) - _forecast(baseline)))


def cents(amount: Decimal) -> Decimal:
    """Round half up to cents, minus zero to zero."""
    with localcontext(EXACT):
        return amount.quantize(CENT, ROUND_HALF_UP) + 0


def money(money_days: Decimal) -> Decimal:
    """Divide money-days (money × 30.44) by the days of a month, unrounded.

    It is the one division, of an exact number, so that half a cent stays half a cent.
    """
    with localcontext(EXACT):
        return money_days / DAYS_PER_MONTH


def money_days(rate_days: Decimal, purchase: Decimal) -> Decimal:
    """Add Σ(days × monthly rate) and Σ prices in one unit (money-days), exactly."""
    with localcontext(EXACT):
        return rate_days + purchase * DAYS_PER_MONTH


def _forecast(sums: Sums) -> Decimal:
    return money_days(sums.forecast_rate_days, sums.forecast_purchase)


def _plan(sums: Sums) -> Decimal:
    return money_days(sums.plan_rate_days, sums.plan_purchase)


def _phase(rate_days: Decimal, purchase: Decimal) -> PhaseCost[Decimal]:
    total_money = money(money_days(rate_days, purchase))
    return PhaseCost(cents(money(rate_days)), cents(purchase), cents(total_money))


def days(start: str | None, end: str | None) -> int:
    """Count the days between two ISO dates, the end exclusive.

    Returns 0 if a date is missing or they are out of order.
    """
    if not start or not end:
        return 0
    return max(0, (date.fromisoformat(end) - date.fromisoformat(start)).days)


def forecast_money_days(record: Mapping[str, Any]) -> Decimal:
    """Compute a merged record's forecast cost in money-days.

    Returns 0 when the record does not count for costs.
    """
    if record.get("isDiscontinued") or record.get("isFundsTransferable"):
        return ZERO
    if record.get("source") == "Purchase":
        return money_days(ZERO, Decimal(record.get("purchasePrice") or 0))
    span = days(record.get("forecastStart"), record.get("forecastEnd"))
    with localcontext(EXACT):
        return span * Decimal(record.get("monthlyRate") or 0)
