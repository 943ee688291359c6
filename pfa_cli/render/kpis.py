"""KPIs as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pfa_core.model.kpi import PERIODS

if TYPE_CHECKING:
    from pfa_core.model.figures import Cost, Figures, Group, MonthGroup, Others, Quantity, Stats
    from pfa_core.model.money import Amount

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
# Each measure of a cost by where it is in it.
_OF_COST = {
    **{
        f"{phase}_{kind}": f"{phase}.{kind}"
        for phase in PHASES
        for kind in ("rental", "purchase", "total")
    },
    "variance": "variance",
    "variance_pct": "variance_pct",
}
_OF_FIGURES = {
    **{name: name for name in _COUNTS},
    **{name: f"cost.{place}" for name, place in _OF_COST.items()},
    "draft_impact": "draft_impact",
    **{name: name for name in _UNCOSTED},
}
_cost_values = attrgetter(*_OF_COST.values())
_figure_values = attrgetter(*_OF_FIGURES.values())
# How many groups a line stands for.
GROUP_COUNT = "group_count"
UNDATED = "undated"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """A line of a table of groups.

    It is a group, the others of a level, a subtotal, or the total. `key` has a value for each dimension; in the
    first that has none stands a word, which is `word` too.
    """

    key: tuple[Any, ...]
    cost: Cost[Amount]
    draft_impact: Amount
    figures: Figures[Amount] | None = None
    quantity: Quantity | None = None
    word: str = ""
    group_count: int = 1


def is_timed(stats: Stats[Amount], by: Sequence[str]) -> bool:
    """Tell whether the groups are of months, quarters, years or of a period."""
    return stats.period is not None or any(name in PERIODS for name in by)


def group_lines(
    stats: Stats[Amount], by: Sequence[str], *, totals: bool = False
) -> Iterator[GroupLine]:
    """Yield the groups in order, each level's others behind them.

    Args:
        totals: With subtotals, where they are of several lines, and the total.
    """
    others = {tuple(item.key.values()): item for item in stats.others}
    subtotals = {tuple(item.key.values()): item for item in stats.subtotals} if totals else {}
    groups = [*(stats.months if is_timed(stats, by) else stats.groups)]
    keys = [tuple(group.key.values()) for group in groups]
    lines = [0] * (len(by) + 1)  # of the block that is open, by level
    for number, group in enumerate(groups):
        yield _line(group, by)
        lines = [count + 1 for count in lines]
        following = keys[number + 1] if number + 1 < len(keys) else None
        for level in range(len(by) - 1, 0, -1):
            prefix = keys[number][:level]
            if following is not None and following[:level] == prefix:
                break
            if prefix in others:
                yield _line(others[prefix], by)
            if prefix in subtotals and (lines[level] > 1 or prefix in others):
                yield _line(subtotals[prefix], by, "subtotal")
            lines[level] = 0
    if () in others:
        yield _line(others[()], by)
    if totals and groups:
        yield _total(stats, by)


def _line(
    item: Group[Amount] | MonthGroup[Amount] | Others[Amount], by: Sequence[str], word: str = ""
) -> GroupLine:
    figures: Figures[Amount] | None = getattr(item, "figures", None)
    costs: Any = figures or item
    number = getattr(item, "group_count", 0)
    word = "others" if number else word
    values = tuple(item.key.values())
    blank = ("",) * (len(by) - len(values) - 1)
    return GroupLine(
        key=(*values, word, *blank) if word else values,
        cost=costs.cost,
        draft_impact=costs.draft_impact,
        figures=figures,
        quantity=getattr(item, "quantity", None),
        word=word,
        group_count=number or 1,
    )


def _total(stats: Stats[Amount], by: Sequence[str]) -> GroupLine:
    figures = stats.figures
    return GroupLine(
        key=("total", *[""] * (len(by) - 1)),
        cost=figures.cost,
        draft_impact=figures.draft_impact,
        figures=None if is_timed(stats, by) else figures,
        quantity=stats.quantity,
        word="total",
    )


def phase_rows(stats: Stats[Amount]) -> list[Mapping[str, Any]]:
    """Make a row for each measure, for programs that read lines."""
    flat = _flat(stats.figures) | _flat_quantity(stats.quantity)
    return [{"measure": name, "value": value} for name, value in flat.items()]


def group_columns(*, timed: bool) -> tuple[str, ...]:
    """List the measures of a group in order; months have quantities instead of counts."""
    if timed:
        return (*_QUANTITIES, *_TOTALS, *_KINDS)
    return (_COUNTS[0], *_TOTALS, *_COUNTS[1:], *_KINDS, *_UNCOSTED)


def group_rows(
    stats: Stats[Amount], by: Sequence[str], *, totals: bool = False, shown: Sequence[str] = ()
) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each line: its key, then its measures.

    Args:
        shown: The columns that were chosen; a word whose column is not among them stands beside it.
    """
    for line in group_lines(stats, by, totals=totals):
        row: dict[str, Any] = dict(zip(by, line.key, strict=True))
        if line.word and shown:
            _show_word(row, line.word, by, shown)
        row[GROUP_COUNT] = line.group_count
        row.update(_flat(line.figures) if line.figures else _flat_line(line))
        yield row


def _show_word(row: dict[str, Any], word: str, by: Sequence[str], shown: Sequence[str]) -> None:
    """Put a line's word into the next column that is shown, or behind the last value."""
    place = [row[name] for name in by].index(word)
    behind = [name for name in by[place:] if name in shown]
    before = [name for name in by[:place] if name in shown]
    if behind:
        row[behind[0]] = word
    elif before:
        row[before[-1]] = f"{row[before[-1]]} {word}"


def _flat(figures: Figures[Amount]) -> dict[str, Any]:
    return dict(zip(_OF_FIGURES, _figure_values(figures), strict=True))


def _flat_line(line: GroupLine) -> dict[str, Any]:
    costs = _flat_cost(line.cost) | {"draft_impact": line.draft_impact}
    return _flat_quantity(line.quantity) | costs


def _flat_quantity(quantity: Quantity | None) -> dict[str, Any]:
    if quantity is None:
        return {}
    return {f"{phase}_quantity": getattr(quantity, phase) for phase in PHASES}


def _flat_cost(cost: Cost[Amount]) -> dict[str, Any]:
    return dict(zip(_OF_COST, _cost_values(cost), strict=True))
