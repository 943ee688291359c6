"""`pfa stats`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.statistics import Statistics
from pfa_cli.framework.compose import command
from pfa_cli.framework.filters import FilterOptions
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import learn_groups
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.kpis import GROUP_COUNT, group_columns, group_rows, phase_rows
from pfa_cli.render.names import camel_case
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.report import stats_text
from pfa_cli.render.stats_data import group_data, others_data, stats_data
from pfa_core.errors import InvalidRequest
from pfa_core.model.kpi import DIMENSIONS, PERIODS
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.figures import Group, MonthGroup, Stats
    from pfa_core.model.money import Amount

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "stats",
    examples=(
        "pfa stats --org HOLNG",
        "pfa stats --by category --sort -variance --top 5",
        "pfa stats --by category,areaSilo --no-discontinued",
        "pfa stats --by quarter --from 2026 --to 2027-06",
        "pfa stats --by month,dor -o csv",
        "pfa stats --by month --chart",
        "pfa stats --baseline",
    ),
)
def stats(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="A,B", help=f"Groups: any of {', '.join(DIMENSIONS)}."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY,-KEY",
            help="Order of the groups: a dimension of --by, or a figure as variance, plan, forecast, actual,"
            " records or a column of the CSV; prefix - for descending.",
        ),
    ] = "",
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            help="The first N groups of each level, the others in one line; without --sort those of the"
            " greatest forecast.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PERIOD",
            help="Costs from this month, quarter, year or first day of a month: 2026-03, 2026-Q1, 2026.",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="PERIOD", help="Costs up to the end of this one."),
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="PEMS values, without your changes.")
    ] = False,
    chart: Annotated[
        bool, typer.Option("--chart", help="Groups as a bar chart, in a pipe of plain characters.")
    ] = False,
) -> None:
    """Sum counts and costs: plan, forecast, actual, variance, your changes.

    Costs leave out discontinued and funds-transferable records, and those of another currency than the
    organization's; a rental that lacks a date or its rate costs 0. The report says how many these are.
    By month, quarter or year, a rental is spread over its days and a purchase counts when it starts; the
    months add up to the cent. --from and --to limit the costs in the same way; counts are of all records. Tables
    have subtotals and a total; csv and tsv have the groups, and with --top the others.
    """
    names = tuple(
        camel_case(name.strip()) for part in by or () for name in part.split(",") if name.strip()
    )
    timed = bool(start or end) or any(name in PERIODS for name in names)
    columns = (*names, *group_columns(timed=timed)) if names else ("measure", "value")
    columns += (GROUP_COUNT,) if top is not None else ()
    call.require_columns(columns)
    look = call.look(Format.TABLE)
    if chart:
        _require_chart(names, look)
    database, principal = call.open()
    found = core.compute_stats(
        database,
        principal,
        filters,
        by=names,
        baseline=baseline,
        sort=_sort_keys(sort, names),
        top=top,
        start=start,
        end=end,
    )
    talk.mask(found)
    learn_groups(call, found)
    data = stats_data(found)
    groups = found.months if timed else found.groups
    sheet = Sheet(
        id_column=names[0] if names else "measure",
        columns=columns,
        items=_items(found, groups) if names else [data],
        rows=_rows(found, names, look) if names else phase_rows(found),
        envelope=Statistics(
            data=data,
            groups=map(group_data, groups),
            subtotals=map(group_data, found.subtotals),
            others=map(others_data, found.others),
            metadata=metadata(call, talk, filters=filters),
        ),
        text=lambda: stats_text(found, names, look, as_chart=chart),
    )
    show(sheet, look)
    if not found.figures.total_records:
        hint_nothing_found(call, talk, filters)


def _sort_keys(text: str, by: tuple[str, ...]) -> str:
    """Spell the keys of --sort.

    Dimensions are spelled as --by does, figures as the columns of the CSV.
    """
    found = []
    for part in (part.strip() for part in text.split(",")):
        sign, name = ("-", part[1:]) if part.startswith("-") else ("", part)
        dimension = camel_case(name)
        found.append(sign + (dimension if dimension in by else name.replace("-", "_")))
    return ",".join(found)


def _rows(found: Stats[Amount], names: tuple[str, ...], look: Look) -> Iterable[Mapping[str, Any]]:
    """Make the rows: of tables with their totals, of ids the groups only."""
    rows = group_rows(found, names, totals=look.is_page, shown=look.columns)
    if look.format is Format.IDS:
        return [row for row in rows if row[GROUP_COUNT] == 1]
    return rows


def _require_chart(names: tuple[str, ...], look: Look) -> None:
    """Refuse a chart of nothing, or of a format that has none."""
    if look.format is not Format.TABLE or look.columns:
        other = "--columns" if look.columns else f"-o {look.format}"
        raise InvalidRequest(f"--chart cannot be combined with {other}")
    if not names:
        raise InvalidRequest("--chart needs groups", hint="add --by month")


def _items(
    found: Stats[Amount], groups: Iterable[Group[Amount] | MonthGroup[Amount]]
) -> Iterator[dict[str, Any]]:
    """Yield the lines of JSONL: the groups, then the others."""
    yield from map(group_data, groups)
    yield from map(others_data, found.others)
