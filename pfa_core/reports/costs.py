"""The costs of a report: by category, by month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from pfa_core.model.figures import Cost, Figures, MonthGroup, Quantity, Stats
from pfa_core.model.humanize import count
from pfa_core.model.money import Amount
from pfa_core.reports.content import BY_MONTH, ProjectReport
from pfa_core.reports.page import Chart, ChartKind, Column, Kind, Role, Row, Section, Table, Value
from pfa_core.reports.texts import percent

UNDATED = "undated"
WITHOUT_NAME = "(none)"
_COSTS = (
    Column("Plan", Kind.MONEY),
    Column("Forecast", Kind.MONEY),
    Column("Variance", Kind.CHANGE),
    Column("% of plan", Kind.PERCENT, is_extra=True),
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
        Row(("Total", stats.figures.total_records, *_costs(stats.figures.cost, report)), Role.TOTAL)
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
                columns=(Column("Category"), Column("Records", Kind.COUNT, is_extra=True), *costs),
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
    """Draw plan and forecast of each category, unless they are masked."""
    if report.masked:
        return None
    return Chart(
        kind=ChartKind.BARS,
        title="Plan and forecast by category",
        summary=f"{_compared(lines)} The table below has every number.",
        unit=report.stats.currency or "",
        labels=tuple(name for name, _, _ in lines),
        reference="plan",
        reference_values=tuple(figures.cost.plan.total or _NOTHING for *_, figures in lines),
        series="forecast",
        values=tuple(figures.cost.forecast.total or _NOTHING for *_, figures in lines),
        notes=tuple(_ratio(figures.cost) for *_, figures in lines),
    )


def _compared(lines: Sequence[tuple[str, Role, Figures[Amount]]]) -> str:
    over = sum((figures.cost.variance or _NOTHING) > 0 for *_, figures in lines)
    first = lines[0][0]
    if len(lines) == 1:
        return f"{first} is all there is; its forecast is {'' if over else 'not '}above the plan."
    return (
        f"{first} has the largest forecast. The forecast is above the plan in {over:,} of"
        f" {len(lines):,} lines."
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
    if not stats.months:
        return None
    dated = [month for month in stats.months if month.key[by] is not None]
    return Section(
        name="calendar",
        title=f"{what} by {by}",
        title_of_tables=f"{what} by year",
        paragraphs=tuple(_limits(stats, masked=report.masked)),
        chart=_columns(report, by, dated) if dated else None,
        tables=(_whole_table(report, by, stats),),
    )


def _limits(stats: Stats[Amount], *, masked: bool) -> Iterator[str]:
    """Say which costs are in the total alone."""
    if stats.period and stats.period.start and stats.period.end:
        what, where = ("Records", "left out") if masked else ("Costs", "in the total alone")
        yield (
            f"{what} before {stats.period.start[:4]}, after {stats.period.end[:4]} or without a date are {where}:"
            " some dates are far away, such as an end in 9999."
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
    span = f"From {labels[0]} to {labels[-1]}; the forecast is highest in {highest}."
    what = "records" if masked else "costs"
    return Chart(
        kind=ChartKind.COLUMNS,
        title=f"{what.capitalize()} of plan and forecast by {by}",
        summary=(
            f"{span if len(labels) > 1 else f'All of it is in {highest}.'}"
            f" {'Every month is listed at the end.' if by == 'month' else 'The table has every number.'}"
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


def _whole_table(report: ProjectReport, by: str, stats: Stats[Amount]) -> Table:
    """Make the table of years, with what has no date and the whole."""
    years = stats.subtotals if by == "month" else stats.months
    found = [item for item in years if isinstance(item, MonthGroup)]
    rows = [_row(report, item.key["year"], item) for item in found if item.key["year"]]
    rows += [_row(report, UNDATED, item) for item in found if not item.key["year"]]
    return _table(report, "Year", "By year", [*rows, _whole(report, stats)])


def months(report: ProjectReport) -> Section | None:
    """List every month, a table for each year."""
    stats = report.calendar
    if report.calendar_by != BY_MONTH:
        return None
    sums = {item.key["year"]: item for item in stats.subtotals if isinstance(item, MonthGroup)}
    tables: list[Table] = []
    for year in dict.fromkeys(item.key["year"] for item in stats.months):
        if year is None:
            continue
        items = [item for item in stats.months if item.key["year"] == year]
        rows = [_row(report, item.key["month"], item) for item in items]
        total = _row(report, "Total", sums[year], Role.TOTAL)
        tables.append(_table(report, "Month", year, [*rows, total]))
    if not tables:
        return None
    undated = [_row(report, UNDATED, sums[None])] if None in sums else []
    ends = tuple(_without_ratio(report, row) for row in (*undated, _whole(report, stats)))
    return Section(name="months", title="Month by month", tables=tuple(tables), sheet_ends=ends)


def _table(report: ProjectReport, name: str, caption: str, rows: Sequence[Row]) -> Table:
    """Make a table of periods.

    Those of months have no ratio, so that two of them stand side by side.
    """
    columns = (Column(name, Kind.TIME), *(_QUANTITIES if report.masked else _COSTS))
    if name != "Month" or report.masked:
        return Table(caption=caption, columns=columns, rows=tuple(rows), is_detail=name == "Month")
    kept = tuple(_without_ratio(report, row) for row in rows)
    return Table(caption=caption, columns=columns[:-1], rows=kept, is_detail=True)


def _without_ratio(report: ProjectReport, row: Row) -> Row:
    return row if report.masked else Row(row.values[:-1], row.role)


def _row(
    report: ProjectReport,
    name: str,
    item: MonthGroup[Amount],
    role: Role = Role.PLAIN,
) -> Row:
    if not report.masked:
        return Row((name, *_costs(item.cost, report)), role)
    return Row((name, *_counted(item.quantity)), role)


def _whole(report: ProjectReport, stats: Stats[Amount]) -> Row:
    if report.masked:
        return Row(("Total", *_counted(stats.quantity)), Role.TOTAL)
    return Row(("Total", *_costs(report.stats.figures.cost, report)), Role.TOTAL)


def _counted(quantity: Quantity | None) -> tuple[Value, ...]:
    return (None, None) if quantity is None else (quantity.plan, quantity.forecast)
