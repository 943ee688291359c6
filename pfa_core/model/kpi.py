"""KPIs: exact sums over records, with the figures computed from them.

Formulas (the field's own, see docs/explanation.md): days = end − start, the end exclusive, never
below 0; months = days / 30.44; a rental costs months × monthlyRate, a purchase its price whatever
the dates; the actual cost counts only with both actual dates. A rate of another unit than the month
costs as `model.costing` says. The division and the rounding, half up to cents, happen once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Any, LiteralString, NamedTuple

from pfa_core.model.costing import MONTH_UNIT, WEIGHTS, Costing
from pfa_core.model.figures import Cost, Figures, PhaseCost
from pfa_core.model.money import EXACT, ZERO, cents, money, money_days

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
# Not columns of a record: its money is spread over the months, see `model.spans`.
PERIODS = ("month", "quarter", "year")
DIMENSIONS = (*GROUP_DIMENSIONS, *PERIODS)
_HUNDRED = Decimal(100)
_NO_PER_CENT = Decimal("0.00")


class Tally(dict[str, int]):
    """Numbers by name, which add up as numbers do; a name without any is absent."""

    def __add__(self, other: Tally) -> Tally:
        """Add the numbers of each name."""
        return self._with(other, 1) if other else self

    def __radd__(self, other: int) -> Tally:
        """Add to the 0 with which a sum begins."""
        return self

    def __sub__(self, other: Tally) -> Tally:
        """Subtract the numbers of each name."""
        return self._with(other, -1) if other else self

    def _with(self, other: Tally, sign: int) -> Tally:
        numbers = {
            name: self.get(name, 0) + sign * other.get(name, 0) for name in {**self, **other}
        }
        return Tally({name: number for name, number in numbers.items() if number})


_NO_NAMES = Tally()


class Sums(NamedTuple):
    """The additive parts of KPIs: counts and undivided money.

    `monthly_rental` is Σ rates of rentals, `*_rate_days` Σ(days × rate), `*_purchase` Σ prices of purchases;
    the last two only over records that count for costs. Rates are weighed by their unit (`model.costing`).
    `without_*` count records that would count and lack what their forecast is computed from; `excluded`
    those left out of all money, by the reason; `currencies` those that name a currency where the
    organization has none. A tuple, since thousands of them are added up for one answer.
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
    without_start: int = 0
    without_end: int = 0
    without_rate: int = 0
    without_price: int = 0
    excluded: Tally = _NO_NAMES
    currencies: Tally = _NO_NAMES

    def weighed(self, costing: Costing, unit: str, currency: str) -> Sums:
        """Weigh sums over records of one unit and one currency, '' where they name none.

        Sums of records that are left out of money keep their counts.
        """
        reason = costing.excluded(unit, currency)
        if reason:
            counts = self._replace(**_NO_MONEY)
            return counts._replace(excluded=_tally(reason, self.record_count))
        weight = costing.weight(unit) or ZERO
        weighed = self._replace(
            monthly_rental=EXACT.multiply(self.monthly_rental, weight),
            plan_rate_days=EXACT.multiply(self.plan_rate_days, weight),
            forecast_rate_days=EXACT.multiply(self.forecast_rate_days, weight),
            actual_rate_days=EXACT.multiply(self.actual_rate_days, weight),
        )
        if not currency or costing.currency:
            return weighed
        return weighed._replace(currencies=_tally(currency.strip().upper(), self.record_count))

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """Add the other sums (`sign=-1`: subtract them)."""
        with localcontext(EXACT):
            pairs: Any = zip(self, other, strict=True)
            if sign > 0:
                return Sums._make([one + two for one, two in pairs])
            return Sums._make([one - two for one, two in pairs])


_NO_MONEY: Mapping[str, Any] = {
    name: ZERO for name, zero in Sums._field_defaults.items() if isinstance(zero, Decimal)
}


def _tally(name: str, number: int) -> Tally:
    return Tally({name: number}) if number else _NO_NAMES


def total(parts: Iterable[Sums]) -> Sums:
    """Add up all parts."""
    every = list(parts)
    if len(every) < 2:  # as in most groups of a field of many values
        return every[0] if every else Sums()
    columns = zip(*every, strict=True)
    with localcontext(EXACT):
        return Sums._make(map(sum, columns))


def figures(merged: Sums, baseline: Sums) -> Figures[Decimal]:
    """Compute the figures of sums.

    `merged` are the sums with the caller's modifications, `baseline` those of the mirror only.
    """
    costs = cost(merged)
    same = _costed(merged) == _costed(baseline)
    return Figures(
        total_records=merged.record_count,
        actualized_count=merged.actualized,
        discontinued_count=merged.discontinued,
        funds_transferable_count=merged.transferable,
        draft_count=merged.drafts,
        total_monthly_rental=cents(EXACT.divide(merged.monthly_rental, WEIGHTS[MONTH_UNIT])),
        total_purchase_cost=cents(merged.purchase_cost),
        cost=costs,
        baseline_cost=costs if same else cost(baseline),
        draft_impact=impact(merged, baseline),
        rentals_without_start=merged.without_start,
        rentals_without_end=merged.without_end,
        rentals_without_rate=merged.without_rate,
        purchases_without_price=merged.without_price,
        excluded_count=sum(merged.excluded.values()),
        excluded=dict(sorted(merged.excluded.items())),
        currencies=dict(sorted(merged.currencies.items())),
    )


def cost(sums: Sums) -> Cost[Decimal]:
    """Compute the cost of the sums in each phase, and the variance."""
    return Cost(
        plan=_phase(sums.plan_rate_days, sums.plan_purchase),
        forecast=_phase(sums.forecast_rate_days, sums.forecast_purchase),
        actual=_phase(sums.actual_rate_days, sums.actual_purchase),
        variance=cents(money(EXACT.subtract(_forecast(sums), _plan(sums)))),
        variance_pct=variance_pct(sums),
    )


def variance_pct(sums: Sums) -> Decimal:
    """Compute the variance in per cent of the plan, 0 without one."""
    plan = _plan(sums)
    if plan <= 0:
        return _NO_PER_CENT
    more = EXACT.subtract(_forecast(sums), plan)
    return cents(EXACT.divide(EXACT.multiply(more, _HUNDRED), plan))


def impact(merged: Sums, baseline: Sums) -> Decimal:
    """Compute what the caller's modifications add to the forecast, in cents exactly."""
    return cents(money(EXACT.subtract(_forecast(merged), _forecast(baseline))))


def _costed(sums: Sums) -> tuple[Decimal, ...]:
    """Return what the costs are computed from."""
    return (
        *(sums.plan_rate_days, sums.plan_purchase),
        *(sums.forecast_rate_days, sums.forecast_purchase),
        *(sums.actual_rate_days, sums.actual_purchase),
    )


def _forecast(sums: Sums) -> Decimal:
    return money_days(sums.forecast_rate_days, sums.forecast_purchase)


def _plan(sums: Sums) -> Decimal:
    return money_days(sums.plan_rate_days, sums.plan_purchase)


def _phase(rate_days: Decimal, purchase: Decimal) -> PhaseCost[Decimal]:
    total_money = money(money_days(rate_days, purchase))
    return PhaseCost(cents(money(rate_days)), cents(purchase), cents(total_money))
