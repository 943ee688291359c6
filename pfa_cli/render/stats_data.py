"""KPIs as JSON values, the names of the measures in snake case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfa_cli.render.json import document

if TYPE_CHECKING:
    from pfa_core.model.figures import Figures, Group, MonthGroup, Others, Stats
    from pfa_core.model.money import Amount

# What a line of costs by period has.
_TIMED = ("quantity", "cost", "baseline_cost", "draft_impact")


def stats_data(found: Stats[Amount]) -> dict[str, Any]:
    """Convert the figures of all matching records."""
    figures = _figures(found.figures)
    costs = {name: figures.pop(name) for name in ("cost", "baseline_cost", "draft_impact")}
    return {
        **figures,
        "currency": found.currency,
        "category_breakdown": dict(found.category_breakdown),
        **costs,
        "period": _snake(found.period),
        "quantity": _snake(found.quantity),
    }


def group_data(group: Group[Amount] | MonthGroup[Amount]) -> dict[str, Any]:
    """Convert a group, or a subtotal."""
    figures = getattr(group, "figures", None)
    return {"key": dict(group.key), **_figures(figures)} if figures else _snake(group)


def others_data(others: Others[Amount]) -> dict[str, Any]:
    """Convert the groups that are added up."""
    counts = {"key": dict(others.key), "group_count": others.group_count}
    if others.figures is not None:
        return {**counts, **_figures(others.figures)}
    whole = _snake(others)
    return {**counts, **{name: whole[name] for name in _TIMED}}


def _figures(figures: Figures[Amount]) -> dict[str, Any]:
    return _snake(figures)


def _snake(value: Any) -> Any:
    return document(value, snake_case=True)
