"""Report of KPIs: counts, costs, groups as a table or a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pfa_cli.render.bars import balance, bar
from pfa_cli.render.formats import Look
from pfa_cli.render.gaps import uncosted
from pfa_cli.render.humanize import MASKED, count, money, signed
from pfa_cli.render.kinds import Column, Kind
from pfa_cli.render.kpis import PHASES
from pfa_cli.render.palette import Styled, of_sign
from pfa_core.model.kpi import MONTH

if TYPE_CHECKING:
    from pfa_core.model.figures import Amount, Cost, Figures, PhaseCost, Stats

_NOTHING = Decimal(0)
_KINDS = ("rental", "purchase", "total")
_PHASE_COLUMNS = (
    Column(name="cost", kind=Kind.KEY),
    *(Column(name=kind, kind=Kind.MONEY) for kind in _KINDS),
)
_TOTAL_BAR = Column(name="", kind=Kind.BAR, rank=9)
_BAR = 8
_LONG_BAR = 20
_SIDE = 5  # of the bar of a variance
# Which figures of a group matter most, for narrow terminals.
_RANKED = ("forecast", "variance", "%", "plan", "share", "records", "your drafts", "actual")
# What --columns takes for a heading.
_KEYS = {
    "records": "total_records",
    **{f"in {phase}": f"{phase}_quantity" for phase in PHASES},
    **{phase: f"{phase}_total" for phase in PHASES},
    "variance": "variance",
    "%": "variance_pct",
    "your drafts": "draft_impact",
}
_SIGNED = ("variance", "%", "your drafts")
_BARS = (
    Column(name="share", kind=Kind.BAR, rank=_RANKED.index("share") + 1),
    Column(name="under|over", kind=Kind.BAR, rank=len(_RANKED) + 9),
)


def stats_text(
    stats: Stats[Amount], by: Sequence[str], look: Look, *, as_chart: bool = False
) -> str:
    """Format the report: counts, cost of the phases, groups if any were asked for."""
    from pfa_cli.render.tables import facts, prose

    figures = stats.figures
    parts = [
        facts(_counts(figures), look),
        _phases(figures.cost, look),
        facts(_differences(figures), look),
    ]
    gaps = [gap.text for gap in uncosted(stats)]
    if gaps:
        parts.append(prose(gaps, look))
    if by:
        parts.append(_chart(stats, by, look) if as_chart else _groups(stats, by, look))
    return "\n\n".join(parts)


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

    rows = [[phase, *_kinds(getattr(cost, phase))] for phase in PHASES]
    columns = list(_PHASE_COLUMNS)
    if look.is_drawn:
        columns.append(_TOTAL_BAR)
        totals = [getattr(cost, phase).total or _NOTHING for phase in PHASES]
        for row, total in zip(rows, totals, strict=True):
            row.append(bar(total, max(totals), _LONG_BAR, unicode=look.unicode))
    return grid(columns, rows, look, numeric=frozenset((1, 2, 3)), may_drop=False)


def _kinds(costs: PhaseCost[Amount]) -> list[str]:
    return [money(getattr(costs, kind)) for kind in _KINDS]


def _differences(figures: Figures[Amount]) -> list[tuple[str, str]]:
    percent = _percent(figures.cost, without_plan="no plan")
    return [
        (
            "variance (+ = over plan)",
            _by_sign(f"{signed(figures.cost.variance)} ({percent})"),
        ),
        ("of it by your drafts", _by_sign(signed(figures.draft_impact))),
    ]


def _by_sign(text: str) -> str:
    return Styled(text, of_sign(text))


def _groups(stats: Stats[Amount], by: Sequence[str], look: Look) -> str:
    from pfa_cli.render.tables import grid

    groups = _groups_of(stats, by)
    if not groups:
        return "no groups"
    rows = [
        [*group.key, *group.counts, *_cost_cells(group.cost, group.draft_impact)]
        for group in groups
    ]
    columns = _group_columns(by)
    numeric = frozenset(range(len(by), len(columns)))
    if look.is_drawn:
        columns += _BARS
        rows = [[*row, *bars] for row, bars in zip(rows, _bars(groups, look), strict=True)]
    return f"{count(len(rows), 'group')}\n\n{grid(columns, rows, look, numeric=numeric)}"


def _chart(stats: Stats[Amount], by: Sequence[str], look: Look) -> str:
    from pfa_cli.render.chart import chart, label_of

    groups = [
        (label_of(group.key), [getattr(group.cost, phase).total for phase in PHASES])
        for group in _groups_of(stats, by)
    ]
    return chart(groups, PHASES, look) if groups else "no groups"


@dataclass(frozen=True, slots=True)
class _Group:
    """A group as the report shows it: of records, or a month of them."""

    key: list[Any]
    counts: list[str]
    cost: Cost[Amount]
    draft_impact: Amount


def _groups_of(stats: Stats[Amount], by: Sequence[str]) -> list[_Group]:
    if MONTH in by:
        return [
            _Group(
                ["undated" if group.key[name] is None else group.key[name] for name in by],
                [f"{getattr(group.quantity, phase):,}" for phase in PHASES],
                group.cost,
                group.draft_impact,
            )
            for group in stats.months
        ]
    return [
        _Group(
            [group.key[name] for name in by],
            [f"{group.figures.total_records:,}"],
            group.figures.cost,
            group.figures.draft_impact,
        )
        for group in stats.groups
    ]


def _group_columns(by: Sequence[str]) -> list[Column]:
    counted = tuple(f"in {phase}" for phase in PHASES) if MONTH in by else ("records",)
    keys = [Column(name=name, kind=Kind.DATE if name == MONTH else Kind.TEXT) for name in by]
    figures = [
        Column(
            name=name,
            kind=Kind.NUMBER if name in counted else Kind.MONEY,
            rank=1 + (_RANKED.index(name) if name in _RANKED else len(_RANKED)),
            role="variance" if name in _SIGNED else "",
            key=_KEYS[name],
        )
        for name in (*counted, *PHASES, *_SIGNED)
    ]
    return keys + figures


def _bars(groups: Sequence[_Group], look: Look) -> list[tuple[str, str]]:
    """Draw each group's share of the forecast and its variance."""
    forecasts = [group.cost.forecast.total or _NOTHING for group in groups]
    variances = [group.cost.variance or _NOTHING for group in groups]
    whole, most = sum(forecasts, _NOTHING), max(forecasts)
    widest = max(map(abs, variances))
    return [
        (
            _share(forecast, whole, bar(forecast, most, _BAR, unicode=look.unicode)),
            Styled(
                balance(variance, widest, _SIDE, unicode=look.unicode), of_sign(signed(variance))
            ),
        )
        for forecast, variance in zip(forecasts, variances, strict=True)
    ]


def _share(part: Decimal, whole: Decimal, drawn: str) -> str:
    return f"{part * 100 / whole:5.1f} % {drawn}" if whole else ""


def _cost_cells(cost: Cost[Amount], impact: Amount) -> list[str]:
    return [
        *(money(getattr(cost, phase).total) for phase in PHASES),
        signed(cost.variance),
        _percent(cost, without_plan="-"),
        signed(impact),
    ]


def _percent(cost: Cost[Amount], *, without_plan: str) -> str:
    value = cost.variance_pct
    if value is None:
        return MASKED
    if not cost.plan.total:
        return without_plan  # of nothing there is no percentage
    return f"{value:+.2f} %" if value else "0.00 %"
