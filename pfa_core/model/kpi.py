"""KPIs: exact sums over records, with the figures computed from them.

Formulas (the field's own, see docs/explanation.md): days = end − start, the end exclusive, never
below 0; months = days / 30.44; a rental costs months × monthlyRate, a purchase its price whatever
the dates; the actual cost counts only with both actual dates. The division and the rounding, half
up to cents, happen once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, Generic, LiteralString, NamedTuple, TypeVar, cast

from pfa_core.errors import PermissionDenied

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

# A sum of money or a percentage as it is shown; None where it is masked.
Amount = Decimal | None
# Decimal where figures are computed, Amount where they are shown.
Shown = TypeVar("Shown", bound=Amount, covariant=True)


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


@dataclass(frozen=True, slots=True)
class PhaseCost(Generic[Shown]):
    """The cost of one phase, in cents exactly."""

    rental: Shown
    purchase: Shown
    total: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(Generic[Shown]):
    """The three phases and the variance forecast − plan; `variance_pct` of the plan, 0 without one."""

    plan: PhaseCost[Shown]
    forecast: PhaseCost[Shown]
    actual: PhaseCost[Shown]
    variance: Shown
    variance_pct: Shown


_MASKED_PHASE: PhaseCost[Amount] = PhaseCost(None, None, None)
_MASKED_COST: Cost[Amount] = Cost(
    plan=_MASKED_PHASE,
    forecast=_MASKED_PHASE,
    actual=_MASKED_PHASE,
    variance=None,
    variance_pct=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Generic[Shown]):
    """The KPIs of one set of records."""

    total_records: int
    actualized_count: int
    discontinued_count: int
    funds_transferable_count: int
    draft_count: int
    total_monthly_rental: Shown
    total_purchase_cost: Shown
    cost: Cost[Shown]
    baseline_cost: Cost[Shown]
    draft_impact: Shown

    def without_amounts(self) -> Figures[Amount]:
        """Return the counts, with None for every amount."""
        return replace(
            cast("Figures[Amount]", self),
            total_monthly_rental=None,
            total_purchase_cost=None,
            cost=_MASKED_COST,
            baseline_cost=_MASKED_COST,
            draft_impact=None,
        )


@dataclass(frozen=True, slots=True)
class Group(Generic[Shown]):
    """The KPIs of the records that share a value in every dimension asked for."""

    key: Mapping[str, Any]
    figures: Figures[Shown]


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many records that count for costs are there in a month, on at least one day of it."""

    plan: int
    forecast: int
    actual: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthGroup(Generic[Shown]):
    """A month's share of the costs, of all records or of those that share the key's other values.

    `key` holds the month as `YYYY-MM`, or None for purchases without a start date. The months of
    one key add up to its costs to the cent, see `model.months`.
    """

    key: Mapping[str, Any]
    quantity: Quantity
    cost: Cost[Shown]
    baseline_cost: Cost[Shown]
    draft_impact: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats(Generic[Shown]):
    """KPIs over all matching records, their count by category, and the groups asked for, by key.

    The groups are `months` when the month is one of the dimensions, else `groups`. Where `masked`, every
    amount and percentage is None.
    """

    figures: Figures[Shown]
    category_breakdown: Mapping[str, int]
    groups: tuple[Group[Shown], ...] = ()
    months: tuple[MonthGroup[Shown], ...] = ()
    masked: bool = False

    def with_amounts(self) -> Stats[Decimal]:
        """Return the same, with amounts that are all known.

        Raises:
            PermissionDenied: They are masked.
        """
        if self.masked:
            raise PermissionDenied(
                "amounts are masked: to see them requires the right view_financials",
                hint="ask an admin of the organization",
            )
        # Only `without_amounts` puts None into them, which sets `masked`.
        return cast("Stats[Decimal]", self)

    def without_amounts(self) -> Stats[Amount]:
        """Return the counts, with None for every amount and without months that have money only."""
        return Stats(
            figures=self.figures.without_amounts(),
            category_breakdown=self.category_breakdown,
            groups=tuple(Group(item.key, item.figures.without_amounts()) for item in self.groups),
            months=tuple(
                MonthGroup(
                    key=item.key,
                    quantity=item.quantity,
                    cost=_MASKED_COST,
                    baseline_cost=_MASKED_COST,
                    draft_impact=None,
                )
                for item in self.months
                if item.quantity != Quantity(0, 0, 0)
            ),
            masked=True,
        )


def figures(merged: Sums, baseline: Sums) -> Figures[Decimal]:
    """Compute the figures of sums with the caller's modifications, and of the mirror alone."""
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
    """Count the days between two ISO dates, the end exclusive; 0 if missing or out of order."""
    if not start or not end:
        return 0
    return max(0, (date.fromisoformat(end) - date.fromisoformat(start)).days)


def forecast_money_days(record: Mapping[str, Any]) -> Decimal:
    """Compute a merged record's forecast cost in money-days; 0 when it does not count for costs."""
    if record.get("isDiscontinued") or record.get("isFundsTransferable"):
        return ZERO
    if record.get("source") == "Purchase":
        return money_days(ZERO, Decimal(record.get("purchasePrice") or 0))
    span = days(record.get("forecastStart"), record.get("forecastEnd"))
    with localcontext(EXACT):
        return span * Decimal(record.get("monthlyRate") or 0)
