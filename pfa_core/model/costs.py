"""Costs of one record.

A record costs what it adds to the sums, and a sum is divided and rounded once, at its end: see `model.kpi`. A
rate divided by 30.44 days has no last decimal, so a record's own cost is given to twelve, rounded half up. Rounded
to cents it is the record's cost in cents; added up and then rounded it is the sum of `compute_stats`: the sum of a
million records is within half a millionth, while exact sums of monthly rates in cents are at least six
millionths away from the half of a cent where rounding turns. Other units may come to exactly half a cent: their
sums are rounded to six decimals before they are to cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from pfa_core.model.money import CENT, EXACT, ZERO, Amount, money

_SMALLEST = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class RecordCosts:
    """What one record costs; None where it is left out of costs, or masked.

    Plan, forecast and actual are as in `compute_stats`; `variance` is forecast − plan, where one that is left out
    counts as 0.
    """

    plan: Amount
    forecast: Amount
    actual: Amount
    variance: Amount


NO_COSTS = RecordCosts(None, None, None, None)


def record_costs(amounts: Sequence[Decimal | None]) -> RecordCosts:
    """Compute the costs of a record from its amounts in money-days.

    Args:
        amounts: Of plan, forecast and actual; None: left out.
    """
    plan, forecast, actual = amounts
    variance = None
    if plan is not None or forecast is not None:
        variance = EXACT.subtract(forecast or ZERO, plan or ZERO)
    return RecordCosts(_divided(plan), _divided(forecast), _divided(actual), _divided(variance))


def _divided(money_days: Decimal | None) -> Amount:
    """Divide money-days; at least two decimals, at most twelve."""
    if money_days is None:
        return None
    with localcontext(EXACT):
        found = money(money_days).quantize(_SMALLEST, ROUND_HALF_UP) + 0
        in_cents = found.quantize(CENT)
        return in_cents if in_cents == found else found.normalize()
