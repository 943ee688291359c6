"""Report of KPIs: counts, costs, groups as a table or a chart."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pfa_cli.render.bars import balance, bar
from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import MASKED, count, money, signed
from pfa_cli.render.kinds import Column, Kind
from pfa_cli.render.kpis import PHASES, UNDATED, GroupLine, group_lines, is_timed
from pfa_cli.render.palette import Styled, of_sign
from pfa_core.model.gaps import uncosted
from pfa_core.model.kpi import PERIODS

if TYPE_CHECKING:
    from pfa_core.model.figures import Cost, Figures, PhaseCost, Stats
    from pfa_core.model.money import Amount

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
_RANKED = ("forecast", "variance", "%", "plan", "share", "records", "your changes", "actual")
# What --columns takes for a heading.
_KEYS = {
    "records": "total_records",
    **{f"in {phase}": f"{phase}_quantity" for phase in PHASES},
    **{phase: f"{phase}_total" for phase in PHASES},
    "variance": "variance",
    "%": "variance_pct",
    "your changes": "draft_impact",
}
_SIGNED = ("variance", "%", "your changes")
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
        facts([*_period(stats), *_counts(figures)], look),
        _phases(figures.cost, look),
        facts(_differences(figures), look),
    ]
    gaps = [gap.text for gap in uncosted(stats)]
    if gaps:
        parts.append(prose(gaps, look))
    if by:
        parts.append(_chart(stats, by, look) if as_chart else _groups(stats, by, look))
    return "\n\n".join(parts)


def _period(stats: Stats[Amount]) -> list[tuple[str, str]]:
    if stats.period is None:
        return []
    start, end = stats.period.start or "the first day", stats.period.end or "the last day"
    return [("costs from", f"{start} to {end}")]


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
        ("of it by your changes", _by_sign(signed(figures.draft_impact))),
    ]


def _by_sign(text: str) -> str:
    return Styled(text, of_sign(text))


def _groups(stats: Stats[Amount], by: Sequence[str], look: Look) -> str:
    from pfa_cli.render.tables import grid, prose

    lines = list(group_lines(stats, by, totals=True))
    if not lines:
        return "no groups"
    timed = is_timed(stats, by)
    rows = [
        [
            *_labels(line, by),
            *_counted(line, timed=timed),
            *_cost_cells(line.cost, line.draft_impact),
        ]
        for line in lines
    ]
    columns = _group_columns(by, timed=timed)
    numeric = frozenset(range(len(by), len(columns)))
    if look.is_drawn:
        columns += _BARS
        rows = [[*row, *bars] for row, bars in zip(rows, _bars(lines, look), strict=True)]
        rows = [
            [Styled(cell, "bold") if cell else cell for cell in row] if line.word else row
            for row, line in zip(rows, lines, strict=True)
        ]
    number = sum(not line.word for line in lines)
    rest = ", and the others of each level" if stats.others else ""
    parts = [f"{count(number, 'group')}{rest}", grid(columns, rows, look, numeric=numeric)]
    notes = _rounding(lines)
    if notes:
        parts.append(prose(notes, look))
    return "\n\n".join(parts)


def _rounding(lines: Sequence[GroupLine]) -> list[str]:
    """Say by how much amounts, each rounded by itself, differ from their sums."""
    found: list[str] = []
    total = lines[-1].cost
    for name, of in (
        *((phase, lambda cost, phase=phase: getattr(cost, phase).total) for phase in PHASES),
        ("variance", lambda cost: cost.variance),
    ):
        amounts = [of(line.cost) for line in lines if line.word in ("", "others")]
        whole = of(total)
        if whole is not None and (more := sum(amounts, _NOTHING) - whole):
            found.append(f"{name} {signed(more)}")
    parts = [
        *([f"the lines differ from the total by {', '.join(found)}"] if found else []),
        *_off(lines),
    ]
    return [f"Each amount is rounded by itself: {'; '.join(parts)}"] if parts else []


def _off(lines: Sequence[GroupLine]) -> list[str]:
    """Say how many variances are not the difference of the amounts beside them."""
    odd: list[Decimal] = []
    for line in lines:
        plan, forecast, variance = (
            line.cost.plan.total,
            line.cost.forecast.total,
            line.cost.variance,
        )
        if plan is not None and forecast is not None and variance is not None:
            odd += filter(None, [abs(variance - (forecast - plan))])
    if not odd:
        return []
    verb = "is" if len(odd) == 1 else "are up to"
    variances = "variance" if len(odd) == 1 else "variances"
    return [f"the {variances} of {count(len(odd), 'line')} {verb} {max(odd)} off forecast - plan"]


def _chart(stats: Stats[Amount], by: Sequence[str], look: Look) -> str:
    from pfa_cli.render.chart import chart, label_of

    groups = [
        (
            label_of([value for value in _labels(line, by) if value != "" or not line.word]),
            [getattr(line.cost, phase).total for phase in PHASES],
        )
        for line in group_lines(stats, by)
    ]
    return chart(groups, PHASES, look) if groups else "no groups"


def _labels(line: GroupLine, by: Sequence[str]) -> list[Any]:
    """Name a line by the values of its key, others with how many they are."""
    words = {"others": f"others ({line.group_count:,})"} if line.word else {}
    first = line.key.index(line.word) if line.word else len(by)
    return [
        UNDATED if value is None else words.get(value, value) if place >= first else value
        for place, value in enumerate(line.key)
    ]


def _counted(line: GroupLine, *, timed: bool) -> list[str]:
    if not timed:
        return [f"{line.figures.total_records:,}" if line.figures else ""]
    if line.quantity is None:
        return [""] * len(PHASES)
    return [f"{getattr(line.quantity, phase):,}" for phase in PHASES]


def _group_columns(by: Sequence[str], *, timed: bool) -> list[Column]:
    counted = tuple(f"in {phase}" for phase in PHASES) if timed else ("records",)
    keys = [Column(name=name, kind=Kind.DATE if name in PERIODS else Kind.TEXT) for name in by]
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


def _bars(lines: Sequence[GroupLine], look: Look) -> list[tuple[str, str]]:
    """Draw each line's share of the forecast and its variance.

    Sums of lines have no bars.
    """
    groups = [line for line in lines if line.word in ("", "others")]
    forecasts = [line.cost.forecast.total or _NOTHING for line in groups]
    variances = [line.cost.variance or _NOTHING for line in groups]
    whole, most = sum(forecasts, _NOTHING), max(forecasts)
    widest = max(map(abs, variances))

    def drawn(line: GroupLine) -> tuple[str, str]:
        if line.word not in ("", "others"):
            return "", ""
        forecast, variance = line.cost.forecast.total or _NOTHING, line.cost.variance or _NOTHING
        side = balance(variance, widest, _SIDE, unicode=look.unicode)
        share = _share(forecast, whole, bar(forecast, most, _BAR, unicode=look.unicode))
        return share, Styled(side, of_sign(signed(variance)))

    return list(map(drawn, lines))


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
