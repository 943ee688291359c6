"""`pfa stats`: KPIs with the caller's drafts overlaid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import command
from pfa_cli.render.formats import Format
from pfa_cli.render.json import camel_case, document
from pfa_cli.render.kpis import group_columns, group_rows, phase_rows, stats_text
from pfa_cli.render.output import Sheet, show
from pfa_core.model.kpi import DIMENSIONS, MONTH
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.kpi import Figures, Stats

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "stats",
    examples=(
        "pfa stats --org HOLNG",
        "pfa stats --by category,source --no-discontinued -o csv",
        "pfa stats --by month,dor -o csv",
        "pfa stats --baseline",
    ),
)
def stats(
    call: Call,
    filters: Filters,
    *,
    by: Annotated[
        str,
        typer.Option("--by", metavar="A,B", help=f"Groups: any of {', '.join(DIMENSIONS)}."),
    ] = "",
    baseline: Annotated[bool, typer.Option("--baseline", help="Without my modifications.")] = False,
) -> None:
    """Sum up counts and costs: plan, forecast, actual, variance, and what my drafts change.

    Costs leave out discontinued and funds-transferable records. By month, rentals are spread over
    their days and purchases stand in the month they start in; the months add up to the cent.
    """
    names = tuple(camel_case(name.strip()) for name in by.split(",") if name.strip())
    database, principal = call.open()
    found = core.compute_stats(database, principal, filters, by=names, baseline=baseline)
    call.mask(found)
    look = call.look(Format.TABLE)
    groups = [document(group, snake_case=True) for group in found.months]
    if MONTH not in names:
        groups = [_group(group) for group in found.groups]
    columns = (*names, *group_columns(names)) if names else ("measure", "value")
    sheet = Sheet(
        id_column=names[0] if names else "measure",
        columns=columns,
        items=groups if names else [_data(found)],
        rows=group_rows(found, names) if names else phase_rows(found),
        document=lambda: {
            "data": _data(found),
            "groups": groups,
            "metadata": call.metadata(filters=filters.given()),
        },
        text=lambda: stats_text(found, names, look),
    )
    show(sheet, look)
    if not found.figures.total_records:
        call.nothing_found(filters)


def _data(found: Stats) -> dict[str, Any]:
    figures = _figures(found.figures)
    costs = {name: figures.pop(name) for name in ("cost", "baseline_cost", "draft_impact")}
    return {**figures, "category_breakdown": dict(found.category_breakdown), **costs}


def _group(group: Any) -> dict[str, Any]:
    return {"key": dict(group.key), **_figures(group.figures)}


def _figures(figures: Figures) -> dict[str, Any]:
    return document(figures, snake_case=True)
