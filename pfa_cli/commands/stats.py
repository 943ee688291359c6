"""`pfa stats`."""

from __future__ import annotations

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
from pfa_cli.render.json import document
from pfa_cli.render.kpis import group_columns, group_rows, phase_rows
from pfa_cli.render.names import camel_case
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.report import stats_text
from pfa_core.errors import InvalidRequest
from pfa_core.model.kpi import DIMENSIONS, MONTH
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.figures import Amount, Figures, Stats

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "stats",
    examples=(
        "pfa stats --org HOLNG",
        "pfa stats --by category,source --no-discontinued -o csv",
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
        str,
        typer.Option("--by", metavar="A,B", help=f"Groups: any of {', '.join(DIMENSIONS)}."),
    ] = "",
    baseline: Annotated[
        bool, typer.Option("--baseline", help="PEMS values, without your modifications.")
    ] = False,
    chart: Annotated[
        bool, typer.Option("--chart", help="Groups as a bar chart, in a pipe of plain characters.")
    ] = False,
) -> None:
    """Sum counts and costs: plan, forecast, actual, variance, your drafts.

    Costs leave out discontinued and funds-transferable records, and those of another currency than the
    organization's; a rental that lacks a date or its rate costs 0. The report says how many these are.
    By month, a rental is spread over its days and a purchase counts in the month it starts in; the
    months add up to the cent.
    """
    names = tuple(camel_case(name.strip()) for name in by.split(",") if name.strip())
    columns = (*names, *group_columns(names)) if names else ("measure", "value")
    call.require_columns(columns)
    look = call.look(Format.TABLE)
    if chart:
        _require_chart(names, look)
    database, principal = call.open()
    found = core.compute_stats(database, principal, filters, by=names, baseline=baseline)
    talk.mask(found)
    learn_groups(call, found)
    data, groups = _data(found), _groups(found, names)
    sheet = Sheet(
        id_column=names[0] if names else "measure",
        columns=columns,
        items=groups if names else [data],
        rows=group_rows(found, names) if names else phase_rows(found),
        envelope=Statistics(data, groups, metadata(call, talk, filters=filters)),
        text=lambda: stats_text(found, names, look, as_chart=chart),
    )
    show(sheet, look)
    if not found.figures.total_records:
        hint_nothing_found(call, talk, filters)


def _require_chart(names: tuple[str, ...], look: Look) -> None:
    """Refuse a chart of nothing, or of a format that has none."""
    if look.format is not Format.TABLE or look.columns:
        other = "--columns" if look.columns else f"-o {look.format}"
        raise InvalidRequest(f"--chart cannot be combined with {other}")
    if not names:
        raise InvalidRequest("--chart needs groups", hint="add --by month")


def _data(found: Stats[Amount]) -> dict[str, Any]:
    figures = _figures(found.figures)
    costs = {name: figures.pop(name) for name in ("cost", "baseline_cost", "draft_impact")}
    return {
        **figures,
        "currency": found.currency,
        "category_breakdown": dict(found.category_breakdown),
        **costs,
    }


def _groups(found: Stats, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if MONTH in names:
        return [document(group, snake_case=True) for group in found.months]
    return [{"key": dict(group.key), **_figures(group.figures)} for group in found.groups]


def _figures(figures: Figures[Amount]) -> dict[str, Any]:
    return document(figures, snake_case=True)
