"""KPIs as they are shown: figures, groups, months."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast

from pfa_core.errors import PermissionDenied
from pfa_core.model.money import Amount

# Decimal where figures are computed, Amount where they are shown.
Shown = TypeVar("Shown", bound=Amount, covariant=True)


@dataclass(frozen=True, slots=True)
class PhaseCost(Generic[Shown]):
    """The cost of one phase, in cents exactly."""

    rental: Shown
    purchase: Shown
    total: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(Generic[Shown]):
    """The costs of the three phases and the variance forecast − plan.

    `variance_pct` is the variance in percent of the plan, 0 without one.
    """

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
    """The KPIs of one set of records.

    `rentals_without_*` and `purchases_without_price` count records that cost nothing in the forecast since
    a value is missing; one may lack several. `excluded` are records by the currency, other than the
    organization's, or the unknown rate unit that leaves them out of all amounts, `excluded_count` of them
    in all; `currencies` those by currency that are added up as if it were one, since the organization has
    none set.
    """

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
    rentals_without_start: int = 0
    rentals_without_end: int = 0
    rentals_without_rate: int = 0
    purchases_without_price: int = 0
    excluded_count: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    currencies: Mapping[str, int] = field(default_factory=dict)

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

    def without_amounts(self) -> Group[Amount]:
        """Return the counts, with None for every amount."""
        return Group(self.key, self.figures.without_amounts())


@dataclass(frozen=True, slots=True)
class Quantity:
    """The number of records that count for costs in a month, quarter or year.

    A record counts that is there on at least one day of it.
    """

    plan: int
    forecast: int
    actual: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthGroup(Generic[Shown]):
    """The share of the costs of a month, a quarter, a year, or the period asked for.

    It is that of all records, or of those that share the key's other values. `key` holds the month as
    `2026-03`, the quarter as `2026-Q1`, the year as `2026`; None for purchases without a start date. The months
    of one key add up to its quarters, years and costs to the cent, see `model.spans`.
    """

    key: Mapping[str, Any]
    quantity: Quantity
    cost: Cost[Shown]
    baseline_cost: Cost[Shown]
    draft_impact: Shown

    def without_amounts(self) -> MonthGroup[Amount]:
        """Return the quantities, with None for every amount."""
        return MonthGroup(
            key=self.key,
            quantity=self.quantity,
            cost=_MASKED_COST,
            baseline_cost=_MASKED_COST,
            draft_impact=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Others(Generic[Shown]):
    """The groups of one level that `top` leaves out, together.

    `key` has the values of the dimensions before theirs. `figures` are None by period, `quantity` is None
    for groups of records, and for periods that do not follow one another.
    """

    key: Mapping[str, Any]
    group_count: int
    cost: Cost[Shown]
    baseline_cost: Cost[Shown]
    draft_impact: Shown
    figures: Figures[Shown] | None = None
    quantity: Quantity | None = None

    def without_amounts(self) -> Others[Amount]:
        """Return the counts, with None for every amount."""
        return Others(
            key=self.key,
            group_count=self.group_count,
            cost=_MASKED_COST,
            baseline_cost=_MASKED_COST,
            draft_impact=None,
            figures=self.figures and self.figures.without_amounts(),
            quantity=self.quantity,
        )


@dataclass(frozen=True, slots=True)
class Period:
    """The days that costs are limited to, both ends among them; None: no limit.

    They are whole months.
    """

    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats(Generic[Shown]):
    """KPIs over all matching records.

    With them come the count of records by category, and the groups asked for, in the order asked for. The
    groups are `months` by month, quarter or year or within a period, else `groups`. With several dimensions
    `subtotals` are those of the groups that share the values of the first ones; `others` are the groups that
    `top` leaves out. Each is rounded from its exact sum by itself.

    `period` limits the costs, those of the figures too; `quantity` counts the records that cost something on
    at least a day of it, None where no time was asked for. Where `masked`, every amount and
    percentage is None. `currency` is that of the amounts, None where the organization has none set.
    """

    figures: Figures[Shown]
    category_breakdown: Mapping[str, int]
    groups: tuple[Group[Shown], ...] = ()
    months: tuple[MonthGroup[Shown], ...] = ()
    subtotals: tuple[Group[Shown] | MonthGroup[Shown], ...] = ()
    others: tuple[Others[Shown], ...] = ()
    period: Period | None = None
    quantity: Quantity | None = None
    masked: bool = False
    currency: str | None = None

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
        """Return the counts without the amounts.

        Every amount is None, and months that have money only are left out.
        """
        return Stats(
            figures=self.figures.without_amounts(),
            category_breakdown=self.category_breakdown,
            groups=tuple(item.without_amounts() for item in self.groups),
            months=tuple(item.without_amounts() for item in self.months if _is_there(item)),
            subtotals=tuple(item.without_amounts() for item in self.subtotals if _is_there(item)),
            others=tuple(item.without_amounts() for item in self.others),
            period=self.period,
            quantity=self.quantity,
            masked=True,
            currency=self.currency,
        )


def _is_there(item: Group[Amount] | MonthGroup[Amount]) -> bool:
    return isinstance(item, Group) or item.quantity != Quantity(0, 0, 0)
