"""KPIs as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pfa_core.model.kpi import MONTH

if TYPE_CHECKING:
    from pfa_core.model.figures import Amount, Cost, Figures, MonthGroup, Stats

PHASES = ("plan", "forecast", "actual")
_COUNTS = (
    "total_records",
    "actualized_count",
    "discontinued_count",
    "funds_transferable_count",
    "draft_count",
    "total_monthly_rental",
    "total_purchase_cost",
)
_UNCOSTED = (
    "rentals_without_start",
    "rentals_without_end",
    "rentals_without_rate",
    "purchases_without_price",
    "excluded_count",
)
_TOTALS = (
    "plan_total",
    "forecast_total",
    "actual_total",
    "variance",
    "variance_pct",
    "draft_impact",
)
_KINDS = tuple(f"{phase}_{kind}" for phase in PHASES for kind in ("rental", "purchase"))
_QUANTITIES = tuple(f"{phase}_quantity" for phase in PHASES)


def phase_rows(stats: Stats[Amount]) -> list[Mapping[str, Any]]:
    """Make a row for each measure, for programs that read lines."""
    flat = _flat(stats.figures)
    return [{"measure": name, "value": value} for name, value in flat.items()]


def group_columns(by: Sequence[str]) -> tuple[str, ...]:
    """List the measures of a group in order; months have quantities instead of counts."""
    if MONTH in by:
        return (*_QUANTITIES, *_TOTALS, *_KINDS)
    return (_COUNTS[0], *_TOTALS, *_COUNTS[1:], *_KINDS, *_UNCOSTED)


def group_rows(stats: Stats[Amount], by: Sequence[str]) -> list[Mapping[str, Any]]:
    """Make a row for each group: its key, then its measures."""
    if MONTH in by:
        return [{**group.key, **_flat_month(group)} for group in stats.months]
    return [{**group.key, **_flat(group.figures)} for group in stats.groups]


def _flat(figures: Figures[Amount]) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(figures, name) for name in _COUNTS}
    uncosted = {name: getattr(figures, name) for name in _UNCOSTED}
    return values | _flat_cost(figures.cost) | {"draft_impact": figures.draft_impact} | uncosted


def _flat_month(group: MonthGroup[Amount]) -> dict[str, Any]:
    values = {f"{phase}_quantity": getattr(group.quantity, phase) for phase in PHASES}
    return values | _flat_cost(group.cost) | {"draft_impact": group.draft_impact}


def _flat_cost(cost: Cost[Amount]) -> dict[str, Any]:
    values = {
        f"{phase}_{kind}": getattr(getattr(cost, phase), kind)
        for phase in PHASES
        for kind in ("rental", "purchase", "total")
    }
    return values | {"variance": cost.variance, "variance_pct": cost.variance_pct}
