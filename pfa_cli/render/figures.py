"""KPIs for reading, and as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pfa_cli.render.formats import Look
from pfa_cli.render.words import count, money, signed

if TYPE_CHECKING:
    from pfa_core.model.kpi import Cost, Figures, Stats

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
GROUP_COLUMNS = (
    "total_records",
    "plan_total",
    "forecast_total",
    "actual_total",
    "variance",
    "variance_pct",
    "draft_impact",
    *_COUNTS[1:],
    "plan_rental",
    "plan_purchase",
    "forecast_rental",
    "forecast_purchase",
    "actual_rental",
    "actual_purchase",
)


def phase_rows(stats: Stats) -> list[Mapping[str, Any]]:
    """One row per measure, for programs that read lines."""
    flat = _flat(stats.figures)
    return [{"measure": name, "value": value} for name, value in flat.items()]


def group_rows(stats: Stats) -> list[Mapping[str, Any]]:
    """One row per group: its key, then its measures."""
    return [{**group.key, **_flat(group.figures)} for group in stats.groups]


def stats_text(stats: Stats, by: Sequence[str], look: Look) -> str:
    """The report: counts, the cost of the phases, the groups if any were asked for."""
    from pfa_cli.render.grid import facts

    figures = stats.figures
    parts = [facts(_counts(figures)), _phases(figures.cost, look), facts(_differences(figures))]
    if by:
        parts.append(_groups(stats, by, look))
    return "\n\n".join(parts)


def _flat(figures: Figures) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(figures, name) for name in _COUNTS}
    for phase in PHASES:
        cost = getattr(figures.cost, phase)
        for kind in ("rental", "purchase", "total"):
            values[f"{phase}_{kind}"] = getattr(cost, kind)
    return values | {
        "variance": figures.cost.variance,
        "variance_pct": figures.cost.variance_pct,
        "draft_impact": figures.draft_impact,
    }


def _counts(figures: Figures) -> list[tuple[str, str]]:
    return [
        ("records", f"{figures.total_records:,}"),
        ("actualized", f"{figures.actualized_count:,}"),
        ("discontinued", f"{figures.discontinued_count:,}"),
        ("funds transferable", f"{figures.funds_transferable_count:,}"),
        ("drafted by me", f"{figures.draft_count:,}"),
        ("monthly rental", money(figures.total_monthly_rental)),
        ("purchase prices", money(figures.total_purchase_cost)),
    ]


def _phases(cost: Cost, look: Look) -> str:
    from pfa_cli.render.grid import grid

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


def _differences(figures: Figures) -> list[tuple[str, str]]:
    percent = _percent(figures.cost.variance_pct)
    return [
        ("variance, forecast - plan", f"{signed(figures.cost.variance)} ({percent})"),
        ("of it by my drafts", signed(figures.draft_impact)),
    ]


def _groups(stats: Stats, by: Sequence[str], look: Look) -> str:
    from pfa_cli.render.grid import grid

    rows = [
        [*(group.key[name] for name in by), *_group_cells(group.figures)] for group in stats.groups
    ]
    headers = (*by, "records", "plan", "forecast", "actual", "variance", "%", "my drafts")
    numeric = frozenset(range(len(by), len(headers)))
    table = grid(headers, rows, look, numeric=numeric)
    return f"{count(len(rows), 'group')}\n\n{table}" if rows else "no groups"


def _group_cells(figures: Figures) -> list[str]:
    cost = figures.cost
    return [
        f"{figures.total_records:,}",
        money(cost.plan.total),
        money(cost.forecast.total),
        money(cost.actual.total),
        signed(cost.variance),
        _percent(cost.variance_pct),
        signed(figures.draft_impact),
    ]


def _percent(value: Decimal) -> str:
    return f"{value:+.2f} %" if value else "0.00 %"
