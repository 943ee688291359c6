"""The costs of a report: by category, by month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from pfa_core.model.figures import Amount, Cost, Figures, MonthGroup, Others, Quantity, Stats
from pfa_core.model.humanize import count
from pfa_core.reports.content import BY_MONTH, ProjectReport
from pfa_core.reports.page import Chart, ChartKind, Column, Kind, Role, Row, Section, Table, Value
from pfa_core.reports.texts import percent

UNDATED = "undated"
WITHOUT_NAME = "(none)"
_COSTS = (
    Column("Plan", Kind.MONEY),
    Column("Forecast", Kind.MONEY),
    Column("Variance", Kind.CHANGE),
    Column("% of plan", Kind.PERCENT),
)
_QUANTITIES = (Column("In plan", Kind.COUNT), Column("In forecast", Kind.COUNT))
_NOTHING = Decimal(0)


def categories(report: ProjectReport) -> Section | None:
    """Compare forecast and plan by category, with a chart; the rest is added up."""
    stats = report.stats
    if not stats.groups:
        return None
    lines: list[tuple[str, Role, Figures[Amount]]] = [
        (group.key["category"] or WITHOUT_NAME, Role.PLAIN, group.figures) for group in stats.groups
    ]
    lines += [
        (f"{count(others.group_count, 'other')}", Role.OTHERS, others.figures)
        for others in stats.others
        if others.figures
    ]
    rows = [
        Row((name, figures.total_records, *_costs(figures.cost, report)), role)
        for name, role, figures in lines
    ]
    rows.append(
        Row(
            ("Total", stats.figures.total_records, *_costs(stats.figures.cost, report)), Role.TOTAL
        )
    )
    costs = () if report.masked else _COSTS
    number = len(stats.groups) + sum(others.group_count for others in stats.others)
    return Section(
        name="categories",
        title="Records by category" if report.masked else "Forecast against plan by category",
        chart=_bars(report, lines),
        tables=(
            Table(
                caption=count(number, "category", "categories"),
                columns=(Column("Category"), Column("Records", Kind.COUNT), *costs),
                rows=tuple(rows),
            ),
        ),
    )


def _costs(cost: Cost[Amount], report: ProjectReport) -> tuple[Value, ...]:
    if report.masked:
        return ()
    ratio = cost.variance_pct if cost.plan.total else None
    return (cost.plan.total, cost.forecast.total, cost.variance, ratio)


def _bars(
    report: ProjectReport, lines: Sequence[tuple[str, Role, Figures[Amount]]]
) -> Chart | None:
    """Draw plan and forecast of each category; without a right to see them there is nothing to compare."""
    if report.masked:
        return None
    over = sum((figures.cost.variance or _NOTHING) > 0 for _, _, figures in lines)
    first = lines[0]
    return Chart(
        kind=ChartKind.BARS,
        title="Plan and forecast by category",
        summary=(
            f"{first[0]} has the largest forecast. The forecast is above the plan in {over} of"
            f" {count(len(lines), 'bar pair')}. The table below has every number."
        ),
        unit=report.stats.currency or "",
        labels=tuple(name for name, _, _ in lines),
        reference="plan",
        reference_values=tuple(figures.cost.plan.total or _NOTHING for *_, figures in lines),
        series="forecast",
        values=tuple(figures.cost.forecast.total or _NOTHING for *_, figures in lines),
        notes=tuple(_ratio(figures.cost) for *_, figures in lines),
    )


def _ratio(cost: Cost[Amount]) -> str:
    if cost.variance_pct is None or not cost.plan.total:
        return "no plan"
    return percent(cost.variance_pct)


def calendar(report: ProjectReport) -> Section | None:
    """Compare forecast and plan by month, or by year, with a chart."""
    by = "month" if report.calendar_by == BY_MONTH else "year"
    what = "Records" if report.masked else "Forecast against plan"
    stats = report.calendar
    if stats is None:
        text = "The dates of the records span too many months to show them: look for ends such as 9999-12-31."
        return Section(name="calendar", title=f"{what} by {by}", paragraphs=(text,))
    if not stats.months:
        return None
    dated = [month for month in stats.months if month.key[by] is not None]
    return Section(
        name="calendar",
        title=f"{what} by {by}",
        chart=_columns(report, by, dated) if dated else None,
        tables=tuple(_tables(report, by, stats)),
    )


def _columns(report: ProjectReport, by: str, months: Sequence[MonthGroup[Amount]]) -> Chart:
    masked = report.masked
    labels = tuple(month.key[by] for month in months)
    forecasts = [
        Decimal(month.quantity.forecast) if masked else month.cost.forecast.total or _NOTHING
        for month in months
    ]
    plans = [
        Decimal(month.quantity.plan) if masked else month.cost.plan.total or _NOTHING
        for month in months
    ]
    now = f"{report.made_at:%Y-%m}" if by == "month" else f"{report.made_at:%Y}"
    highest = labels[forecasts.index(max(forecasts))]
    what = "records" if masked else "costs"
    return Chart(
        kind=ChartKind.COLUMNS,
        title=f"{what.capitalize()} of plan and forecast by {by}",
        summary=(
            f"From {labels[0]} to {labels[-1]}; the forecast is highest in {highest}."
            " The tables below have every number."
        ),
        unit="records" if masked else report.stats.currency or "",
        labels=labels,
        reference="plan",
        reference_values=tuple(plans),
        series="forecast",
        values=tuple(forecasts),
        marked=now if now in labels else "",
        is_money=not masked,
    )


def _tables(
    report: ProjectReport,
    by: str,
    stats: Stats[Amount],
) -> Iterator[Table]:
    """Make a table for each year of months, then one of what has no date and of the whole."""
    dated = [month for month in stats.months if month.key[by] is not None]
    rest = [
        *(_row(report, UNDATED, item) for item in stats.months if item.key[by] is None),
        *(
            _row(report, f"{item.group_count:,} later", item, Role.OTHERS)
            for item in stats.others
        ),
        _whole(report, stats),
    ]
    if by == "year":
        rows = [_row(report, item.key[by], item) for item in dated]
        yield _table(report, "Year", "By year", [*rows, *rest])
        return
    sums = {item.key["year"]: item for item in stats.subtotals if isinstance(item, MonthGroup)}
    for year in dict.fromkeys(item.key["year"] for item in dated):
        rows = [_row(report, item.key[by], item) for item in dated if item.key["year"] == year]
        total = _row(report, f"{year} total", sums[year], Role.TOTAL)
        yield _table(report, "Month", year, [*rows, total])
    yield _table(report, "Years", "All years", [*_years(report, sums), *rest])


def _years(report: ProjectReport, sums: Mapping[str | None, MonthGroup[Amount]]) -> Iterator[Row]:
    for year, item in sums.items():
        if year is not None:
            yield _row(report, year, item)


def _table(report: ProjectReport, name: str, caption: str, rows: Sequence[Row]) -> Table:
    columns = _QUANTITIES if report.masked else _COSTS
    return Table(caption=caption, columns=(Column(name), *columns), rows=tuple(rows))


def _row(
    report: ProjectReport,
    name: str,
    item: MonthGroup[Amount] | Others[Amount],
    role: Role = Role.PLAIN,
) -> Row:
    if not report.masked:
        return Row((name, *_costs(item.cost, report)), role)
    return Row((name, *_counted(item.quantity)), role)


def _whole(report: ProjectReport, stats: Stats[Amount]) -> Row:
    if report.masked:
        return Row(("Total", *_counted(stats.quantity)), Role.TOTAL)
    return Row(("Total", *_costs(stats.figures.cost, report)), Role.TOTAL)


def _counted(quantity: Quantity | None) -> tuple[Value, ...]:
    return (None, None) if quantity is None else (quantity.plan, quantity.forecast)
