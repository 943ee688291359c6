"""Costing: the currency of an organization's sums, and the units of rates.

A rate is the price of a unit of time: a day, a week, 28 days, or a month of 30.44 days. On each day a rental
costs its rate / the days of the unit. So that no sum is divided before its end, rates are weighed by
`RATE_DAYS` / the days of their unit, which is a finite decimal for every unit, and what is summed is divided
by `RATE_DAYS` once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import LiteralString

DAYS_PER_MONTH = Decimal("30.44")
# Seven months: the least number of days of which each unit's days are a finite decimal part.
RATE_DAYS = 7 * DAYS_PER_MONTH

MONTH_UNIT = "month"
RATE_UNITS: tuple[LiteralString, ...] = (MONTH_UNIT, "week", "day", "28-day")
WEIGHTS: Mapping[str, Decimal] = {
    MONTH_UNIT: Decimal(7),
    "week": DAYS_PER_MONTH,
    "day": RATE_DAYS,
    "28-day": DAYS_PER_MONTH / 4,
}
# What PEMS may call a unit, in lower case.
SPELLINGS: Mapping[str, LiteralString] = {
    **dict.fromkeys(
        ("month", "months", "monthly", "per month", "/month", "mo", "mon", "mth", "m"), "month"
    ),
    **dict.fromkeys(("week", "weeks", "weekly", "per week", "/week", "wk", "w"), "week"),
    **dict.fromkeys(("day", "days", "daily", "per day", "/day", "dy", "d"), "day"),
    **dict.fromkeys(
        ("28-day", "28-days", "28 day", "28 days", "28day", "28days", "28d", "d28", "4-week",
         "4-weeks", "4 week", "4 weeks", "4week", "4weeks", "4w", "4wk"),
        "28-day",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Costing:
    """The settings of an organization that its costs depend on.

    `currency` is that of its sums, None where it is not set; `rate_uom` the unit of rates that name none.
    """

    currency: str | None = None
    rate_uom: str = MONTH_UNIT

    def weight(self, unit: str | None) -> Decimal | None:
        """Return what a rate of the unit is weighed by; None: an unknown unit."""
        return WEIGHTS.get(SPELLINGS.get((unit or self.rate_uom).strip().lower(), ""))

    def excluded(self, unit: str | None, currency: str | None) -> str:
        """Name why records of a unit and a currency are left out of sums.

        Returns the currency, or the unknown unit behind `rateUom `; empty where they count.
        """
        own = (currency or "").strip().upper()
        if own and self.currency and own != self.currency:
            return own
        return "" if self.weight(unit) is not None else f"rateUom {unit}"
