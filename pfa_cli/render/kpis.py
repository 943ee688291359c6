"""KPIs as a report and as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pfa_cli.render.formats import Look
from pfa_cli.render.gaps import uncosted
from pfa_cli.render.humanize import MASKED, count, money, signed
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


def stats_text(stats: Stats[Amount], by: Sequence[str], look: Look) -> str:
    """Format the report: counts, cost of the phases, groups if any were asked for."""
    from pfa_cli.render.tables import facts

    figures = stats.figures
    parts = [facts(_counts(figures)), _phases(figures.cost, look), facts(_differences(figures))]
    gaps = [gap.text for gap in uncosted(stats)]
    if gaps:
        parts.append("\n".join(gaps))
    if by:
        parts.append(_groups(stats, by, look))
    return "\n\n".join(parts)


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


def _counts(figures: Figures[Amount]) -> list[tuple[str, str]]:
    return [
        ("records", f"{figures.total_records:,}"),
        ("actualized", f"{figures.actualized_count:,}"),
        ("discontinued", f"{figures.discontinued_count:,}"),
        ("funds transferable", f"{figures.funds_transferable_count:,}"),
        ("drafted by you", f"{figures.draft_count:,}"),
        ("monthly rental", money(figures.total_monthly_rental)),
        ("purchase prices", money(figures.total_purchase_cost)),
    ]


def _phases(cost: Cost[Amount], look: Look) -> str:
    from pfa_cli.render.tables import grid

    rows = [
        [
            phase,
            *(
                money(getattr(getattr(cost, phase), kind))
                for kind in ("rental", "purchase", "total")
            ),
        ]
        for phase in PHASES
    ]
    numeric = frozenset((1, 2, 3))
    return grid(("cost", "rental", "purchase", "total"), rows, look, numeric=numeric)


def _differences(figures: Figures[Amount]) -> list[tuple[str, str]]:
    percent = _percent(figures.cost.variance_pct)
    return [
        (
            "variance (+ = over plan)",
            f"{signed(figures.cost.variance)} ({percent})",
        ),
        ("of it by your drafts", signed(figures.draft_impact)),
    ]


def _groups(stats: Stats[Amount], by: Sequence[str], look: Look) -> str:
    from pfa_cli.render.tables import grid

    if MONTH in by:
        counted = tuple(f"in {phase}" for phase in PHASES)
        rows = [[*_key_cells(group, by), *_month_cells(group)] for group in stats.months]
    else:
        counted = ("records",)
        rows = [
            [*(group.key[name] for name in by), *_group_cells(group.figures)]
            for group in stats.groups
        ]
    headers = (*by, *counted, *PHASES, "variance", "%", "your drafts")
    numeric = frozenset(range(len(by), len(headers)))
    table = grid(headers, rows, look, numeric=numeric)
    return f"{count(len(rows), 'group')}\n\n{table}" if rows else "no groups"


def _key_cells(group: MonthGroup[Amount], by: Sequence[str]) -> list[Any]:
    return ["undated" if group.key[name] is None else group.key[name] for name in by]


def _month_cells(group: MonthGroup[Amount]) -> list[str]:
    counts = [f"{getattr(group.quantity, phase):,}" for phase in PHASES]
    return [*counts, *_cost_cells(group.cost, group.draft_impact)]


def _group_cells(figures: Figures[Amount]) -> list[str]:
    return [f"{figures.total_records:,}", *_cost_cells(figures.cost, figures.draft_impact)]


def _cost_cells(cost: Cost[Amount], impact: Amount) -> list[str]:
    return [
        *(money(getattr(cost, phase).total) for phase in PHASES),
        signed(cost.variance),
        _percent(cost.variance_pct),
        signed(impact),
    ]


def _percent(value: Amount) -> str:
    if value is None:
        return MASKED
    return f"{value:+.2f} %" if value else "0.00 %"
