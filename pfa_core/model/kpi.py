"""KPIs: exact sums over records, with the figures computed from them.

Formulas (the field's own, see docs/explanation.md): days = end − start, the end exclusive, never
below 0; months = days / 30.44; a rental costs months × monthlyRate, a purchase its price whatever
the dates; the actual cost counts only with both actual dates. A rate of another unit than the month
costs as `model.costing` says. The division and the rounding, half up to cents, happen once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Any, LiteralString, NamedTuple

from pfa_core.model.costing import MONTH_UNIT, WEIGHTS, Costing
from pfa_core.model.figures import Cost, Figures, PhaseCost
from pfa_core.model.money import EXACT, NOTHING, ZERO, cents, in_cents, money_days, quotient

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
        return weigher(costing, unit, currency)(self)

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


def weigher(costing: Costing, unit: str, currency: str) -> Callable[[Iterable[Any]], Sums]:
    """Make what weighs the values of sums over records of one unit and one currency.

    '' where they name none. Many sums have the same ones: what they mean is found once.
    """
    reason = costing.excluded(unit, currency)
    weight = costing.weight(unit) or ZERO
    named = currency.strip().upper() if currency and not costing.currency else None
    multiply = EXACT.multiply

    def weighed(values: Iterable[Any]) -> Sums:
        if reason:
            counts = Sums(*values)._replace(**_NO_MONEY)
            return counts._replace(excluded=_tally(reason, counts.record_count))
        numbers = list(values)
        for place in _OF_RATES:
            numbers[place] = multiply(numbers[place], weight)
        sums = Sums(*numbers)
        if named is None:
            return sums
        return sums._replace(currencies=_tally(named, sums.record_count))

    return weighed


_OF_RATES = tuple(
    place
    for place, name in enumerate(Sums._fields)
    if name == "monthly_rental" or name.endswith("_rate_days")
)
# What costs are computed from.
_COSTED = slice(*map(Sums._fields.index, ("plan_rate_days", "without_start")))


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
    costs, forecast = _costed(merged)
    same = merged is baseline or merged[_COSTED] == baseline[_COSTED]
    theirs, before = (costs, forecast) if same else _costed(baseline)
    return Figures(
        total_records=merged.record_count,
        actualized_count=merged.actualized,
        discontinued_count=merged.discontinued,
        funds_transferable_count=merged.transferable,
        draft_count=merged.drafts,
        total_monthly_rental=quotient(merged.monthly_rental, WEIGHTS[MONTH_UNIT]),
        total_purchase_cost=cents(merged.purchase_cost),
        cost=costs,
        baseline_cost=theirs,
        draft_impact=_difference(forecast, before),
        rentals_without_start=merged.without_start,
        rentals_without_end=merged.without_end,
        rentals_without_rate=merged.without_rate,
        purchases_without_price=merged.without_price,
        excluded_count=sum(merged.excluded.values()) if merged.excluded else 0,
        excluded=dict(sorted(merged.excluded.items())) if merged.excluded else {},
        currencies=dict(sorted(merged.currencies.items())) if merged.currencies else {},
    )


def cost(sums: Sums) -> Cost[Decimal]:
    """Compute the cost of the sums in each phase, and the variance."""
    return _costed(sums)[0]


def _costed(sums: Sums) -> tuple[Cost[Decimal], Decimal]:
    """Compute the cost of the sums, and their forecast in money-days."""
    plan = money_days(sums.plan_rate_days, sums.plan_purchase)
    forecast = money_days(sums.forecast_rate_days, sums.forecast_purchase)
    found = Cost(
        plan=_phase(sums.plan_rate_days, sums.plan_purchase, plan),
        forecast=_phase(sums.forecast_rate_days, sums.forecast_purchase, forecast),
        actual=_phase(sums.actual_rate_days, sums.actual_purchase),
        variance=_difference(forecast, plan),
        variance_pct=_per_cent(forecast, plan),
    )
    return found, forecast


def variance_pct(sums: Sums) -> Decimal:
    """Compute the variance in per cent of the plan, 0 without one."""
    return _per_cent(_forecast(sums), _plan(sums))


def impact(merged: Sums, baseline: Sums) -> Decimal:
    """Compute what the caller's modifications add to the forecast, in cents exactly."""
    return _difference(_forecast(merged), _forecast(baseline))


def _difference(forecast: Decimal, before: Decimal) -> Decimal:
    """Compute what money-days are more than others, in cents."""
    return NOTHING if forecast == before else in_cents(EXACT.subtract(forecast, before))


def _per_cent(forecast: Decimal, plan: Decimal) -> Decimal:
    if plan <= 0 or forecast == plan:
        return NOTHING
    more = EXACT.subtract(forecast, plan)
    return quotient(EXACT.multiply(more, _HUNDRED), plan)


def _forecast(sums: Sums) -> Decimal:
    return money_days(sums.forecast_rate_days, sums.forecast_purchase)


def _plan(sums: Sums) -> Decimal:
    return money_days(sums.plan_rate_days, sums.plan_purchase)


def _phase(
    rate_days: Decimal, purchase: Decimal, total: Decimal | None = None
) -> PhaseCost[Decimal]:
    """Compute the cost of a phase; `total` is both in money-days where they are known.

    Most groups have one of both, or none: what is rounded alone is the total then.
    """
    if not rate_days:
        return PhaseCost(NOTHING, *(cents(purchase),) * 2) if purchase else _NO_COST
    rental = in_cents(rate_days)
    if not purchase:
        return PhaseCost(rental, NOTHING, rental)
    both = money_days(rate_days, purchase) if total is None else total
    return PhaseCost(rental, cents(purchase), in_cents(both))


_NO_COST = PhaseCost(NOTHING, NOTHING, NOTHING)
