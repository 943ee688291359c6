"""Exact amounts of money: rounding, money-days, the forecast cost of a record.

The formulas are those of `model.kpi`, which sums them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from pfa_core.model.costing import RATE_DAYS, Costing

# A sum of money or a percentage as it is shown; None where it is masked.
Amount = Decimal | None
CENT = Decimal("0.01")
ZERO = Decimal(0)
# No money as it is shown.
NOTHING = Decimal("0.00")
# Its methods compute what `localcontext(EXACT)` would, without entering it millions of times.
EXACT = Context(prec=200)
_fma, _divide = EXACT.fma, EXACT.divide
_quantize = Context(prec=200, rounding=ROUND_HALF_UP).quantize


def cents(amount: Decimal) -> Decimal:
    """Round half up to cents, minus zero to zero."""
    return _quantize(amount, CENT) or NOTHING


def money(money_days: Decimal) -> Decimal:
    """Divide money-days (money × `RATE_DAYS`) by these days, unrounded.

    It is the one division, of an exact number, so that half a cent stays half a cent.
    """
    return _divide(money_days, RATE_DAYS)


def in_cents(money_days: Decimal) -> Decimal:
    """Return the money of money-days, in cents."""
    return quotient(money_days, RATE_DAYS)


def quotient(amount: Decimal, divisor: Decimal) -> Decimal:
    """Divide, and round half up to cents, minus zero to zero."""
    # Both in one call: a group of KPIs has nine of them.
    return _quantize(_divide(amount, divisor), CENT) or NOTHING


def money_days(rate_days: Decimal, purchase: Decimal) -> Decimal:
    """Add weighed Σ(days × rate) and Σ prices in one unit (money-days), exactly."""
    return _fma(purchase, RATE_DAYS, rate_days)


def days(start: str | None, end: str | None) -> int:
    """Count the days between two ISO dates, the end exclusive.

    Returns 0 if a date is missing or they are out of order.
    """
    if not start or not end:
        return 0
    return max(0, (date.fromisoformat(end) - date.fromisoformat(start)).days)


def cost_effect(before: Mapping[str, Any], after: Mapping[str, Any], costing: Costing) -> Decimal:
    """Compute what a change of a record adds to the forecast, in money-days."""
    return forecast_money_days(after, costing) - forecast_money_days(before, costing)


def forecast_money_days(record: Mapping[str, Any], costing: Costing) -> Decimal:
    """Compute a merged record's forecast cost in money-days.

    Returns 0 when the record does not count for costs.
    """
    if record.get("isDiscontinued") or record.get("isFundsTransferable"):
        return ZERO
    unit = record.get("rateUom")
    if costing.excluded(unit, record.get("currency")):
        return ZERO
    if record.get("source") == "Purchase":
        return money_days(ZERO, Decimal(record.get("purchasePrice") or 0))
    span = days(record.get("forecastStart"), record.get("forecastEnd"))
    with localcontext(EXACT):
        return span * Decimal(record.get("monthlyRate") or 0) * (costing.weight(unit) or ZERO)
