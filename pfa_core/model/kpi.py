"""KPIs: exact sums over records, and the figures made of them.

Formulas (the field's own, see docs/explanation.md): days = end − start, the end exclusive, never
below 0; months = days / 30.44; a rental costs months × monthlyRate, a purchase its price whatever
the dates; the actual cost counts only with both actual dates. The division and the rounding, half
up to cents, happen once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, LiteralString, NamedTuple

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
# No column of a record: its money is spread over the months, see `model.months`.
MONTH = "month"
DIMENSIONS = (*GROUP_DIMENSIONS, MONTH)
EXACT = Context(prec=200)


class Sums(NamedTuple):
    """What adds up: counts and undivided money. `*_rate_days` are Σ(days × monthly rate) of rentals,
    `*_purchase` Σ prices of purchases; both only over records that count for costs.

    A tuple, since thousands of them are added up for one answer.
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
        """The sums of both (`sign=-1`: of the first without the second)."""
        with localcontext(EXACT):
            pairs: Any = zip(self, other, strict=True)
            if sign > 0:
                return Sums._make([one + two for one, two in pairs])
            return Sums._make([one - two for one, two in pairs])


def total(parts: Iterable[Sums]) -> Sums:
    """The sums over all parts."""
    columns = list(zip(*parts, strict=True))
    if not columns:
        return Sums()
    with localcontext(EXACT):
        return Sums._make(map(sum, columns))


@dataclass(frozen=True, slots=True)
class PhaseCost:
    """The cost of one phase, in cents exactly."""

    rental: Decimal
    purchase: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """The three phases and the variance forecast − plan; `variance_pct` of the plan, 0 without one."""

    plan: PhaseCost
    forecast: PhaseCost
    actual: PhaseCost
    variance: Decimal
    variance_pct: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """The KPIs of one set of records, as the user sees them."""

    total_records: int
    actualized_count: int
    discontinued_count: int
    funds_transferable_count: int
    draft_count: int
    total_monthly_rental: Decimal
    total_purchase_cost: Decimal
    cost: Cost
    baseline_cost: Cost
    draft_impact: Decimal


@dataclass(frozen=True, slots=True)
class Group:
    """The KPIs of the records that share a value in every dimension asked for."""

    key: Mapping[str, Any]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many records that count for costs are there in a month, on one day of it at least."""

    plan: int
    forecast: int
    actual: int


@dataclass(frozen=True, slots=True)
class MonthGroup:
    """A month's share of the costs, of all records or of those that share the key's other values.

    `key` holds the month as `YYYY-MM`, or None for purchases without a start date. The months of
    one key add up to its costs to the cent, see `model.months`.
    """

    key: Mapping[str, Any]
    quantity: Quantity
    cost: Cost
    baseline_cost: Cost
    draft_impact: Decimal


@dataclass(frozen=True, slots=True)
class Stats:
    """KPIs over all matching records, their count by category, and the groups asked for, by key:
    `months` when the month is one of the dimensions, else `groups`. Where `masked`, every amount and
    percentage in it is None."""

    figures: Figures
    category_breakdown: Mapping[str, int]
    groups: tuple[Group, ...] = field(default=())
    months: tuple[MonthGroup, ...] = field(default=())
    masked: bool = False


def figures(merged: Sums, baseline: Sums) -> Figures:
    """The figures of sums with the caller's modifications, beside those of the mirror alone."""
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


def cost(sums: Sums) -> Cost:
    """The cost of the sums in each phase, and the variance."""
    with localcontext(EXACT):
        return Cost(
            plan=_phase(sums.plan_rate_days, sums.plan_purchase),
            forecast=_phase(sums.forecast_rate_days, sums.forecast_purchase),
            actual=_phase(sums.actual_rate_days, sums.actual_purchase),
            variance=cents(money(_forecast(sums) - _plan(sums))),
            variance_pct=variance_pct(sums),
        )


def variance_pct(sums: Sums) -> Decimal:
    """The variance in per cent of the plan, 0 without one."""
    with localcontext(EXACT):
        plan = _plan(sums)
        return cents((_forecast(sums) - plan) * 100 / plan) if plan > 0 else Decimal("0.00")


def impact(merged: Sums, baseline: Sums) -> Decimal:
    """How much the caller's modifications add to the forecast, in cents exactly."""
    with localcontext(EXACT):
        return cents(money(_forecast(merged) - _forecast(baseline)))


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to cents, minus zero as zero."""
    with localcontext(EXACT):
        return amount.quantize(CENT, ROUND_HALF_UP) + 0


def money(money_days: Decimal) -> Decimal:
    """Money-days (money × 30.44) as money, unrounded: the one division, of an exact number, so that
    half a cent stays half a cent."""
    with localcontext(EXACT):
        return money_days / DAYS_PER_MONTH


def money_days(rate_days: Decimal, purchase: Decimal) -> Decimal:
    """Σ(days × monthly rate) and Σ prices under one roof, exactly."""
    with localcontext(EXACT):
        return rate_days + purchase * DAYS_PER_MONTH


def _forecast(sums: Sums) -> Decimal:
    return money_days(sums.forecast_rate_days, sums.forecast_purchase)


def _plan(sums: Sums) -> Decimal:
    return money_days(sums.plan_rate_days, sums.plan_purchase)


def _phase(rate_days: Decimal, purchase: Decimal) -> PhaseCost:
    total_money = money(money_days(rate_days, purchase))
    return PhaseCost(cents(money(rate_days)), cents(purchase), cents(total_money))


def days(start: str | None, end: str | None) -> int:
    """Whole days between two ISO dates, the end exclusive; 0 when one is missing or out of order."""
    if not start or not end:
        return 0
    return max(0, (date.fromisoformat(end) - date.fromisoformat(start)).days)


def forecast_money_days(record: Mapping[str, Any]) -> Decimal:
    """The forecast cost of one merged record in money-days; 0 when it does not count for costs."""
    if record.get("isDiscontinued") or record.get("isFundsTransferable"):
        return ZERO
    if record.get("source") == "Purchase":
        return money_days(ZERO, Decimal(record.get("purchasePrice") or 0))
    span = days(record.get("forecastStart"), record.get("forecastEnd"))
    with localcontext(EXACT):
        return span * Decimal(record.get("monthlyRate") or 0)
