"""`pfa report`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.filters import FilterOptions
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.stats_data import group_data, others_data, stats_data
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.reports.content import ProjectReport

app = typer.Typer(rich_markup_mode=None)
STDOUT = "-"
COLUMNS = ("section", "name", "measure", "value")
USUAL_TOP, MAX_TOP = 12, 100


class PageFormat(StrEnum):
    """Form of the page."""

    HTML = "html"
    MARKDOWN = "md"
    WORKBOOK = "xlsx"


@command(
    app,
    "report",
    examples=(
        "pfa report --to report.html",
        'pfa report --to cranes.html --category Crane --title "Cranes, May"',
        "pfa report --to report.xlsx --where 'forecastEnd > today'",
        "pfa report --to - --format md | less",
    ),
    exit_codes="74 the file cannot be written.",
    columns=COLUMNS,
)
def report(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Write the page to .html, .md or .xlsx; with - and --format to stdout.",
        ),
    ] = None,
    page_format: Annotated[
        PageFormat | None,
        typer.Option(
            "--format",
            metavar="|".join(PageFormat),
            help="Form of the page; otherwise by the end of the file's name.",
        ),
    ] = None,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Instead of the organization's name.")
    ] = "",
    top: Annotated[
        int,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            max=MAX_TOP,
            help="How many categories and records are listed.",
        ),
    ] = USUAL_TOP,
) -> None:
    """Make a page of the figures, charts, changes, conflicts and PEMS data.

    It is one file to forward: HTML loads nothing, runs no script, and reads well on a phone, on paper, light and
    dark. All numbers are of one moment, those of pfa stats, diff, list, conflict list and status. Change sets and
    PEMS data are not filtered. A file is replaced, whole or not at all. Without --to the page is printed as
    Markdown; -o json has every number.
    """
    look = call.look(Format.TABLE)
    _require_target(call, to, page_format)
    target, chosen = (None, "") if to is None else _target(to, page_format)
    database, principal = call.open()
    found = core.report(database, principal, filters, title=title, top=top)
    talk.mask(found)
    if to is None:
        _show(call, talk, found, filters, look)
    elif target is None:
        _print(found, chosen, look)
    else:
        core.write_report(found, target, file_format=chosen)
        call.note_stored()
        talk.say(f"report written to {target}")
    if not found.stats.figures.total_records:
        hint_nothing_found(call, talk, filters)


def _require_target(call: Invocation, to: str | None, page_format: PageFormat | None) -> None:
    """Refuse options that say twice, or not at all, what is written where."""
    if to is None and page_format is not None:
        raise InvalidRequest("--format is of --to", hint=f"add --to report.{page_format}")
    if to is not None and call.common.output is not None:
        raise InvalidRequest(
            f"--to cannot be combined with -o {call.common.output}",
            hint=f"forms of the page: --format {', '.join(PageFormat)}",
        )
    if to is not None and call.common.columns:
        raise InvalidRequest("a page has no columns to choose", hint="rows with columns: -o csv")
    if to == STDOUT and page_format is None:
        raise InvalidRequest("--to - does not say the form of the page", hint="add --format html")


def _target(to: str, page_format: PageFormat | None) -> tuple[str | None, str]:
    """Return the file, None for stdout, and the form; refused before anything is read."""
    from pfa_core.reports.writing import report_format

    chosen = report_format(to, str(page_format) if page_format else "auto")
    return (None if to == STDOUT else to), chosen


def _print(found: ProjectReport, chosen: str, look: Look) -> None:
    """Write the page to stdout."""
    if chosen == PageFormat.WORKBOOK:
        from pfa_cli.render.workbook import to_stdout

        with to_stdout(look) as file:
            core.write_report(found, file, file_format=chosen)
        return
    page = BytesIO()
    core.write_report(found, page, file_format=chosen)
    if not look.terminal:
        streams.be_exact()
    streams.write(page.getvalue().decode())


def _show(call: Invocation, talk: Talk, found: ProjectReport, filters: Filters, look: Look) -> None:
    """Show the report: as Markdown to people, its numbers to programs."""
    pages = {Format.XLSX: PageFormat.WORKBOOK, Format.MARKDOWN: PageFormat.MARKDOWN}
    if look.format in pages and not look.columns:
        _print(found, pages[look.format], look)
        return
    data = _data(found)
    sheet = Sheet(
        id_column="name",
        columns=COLUMNS,
        items=[data],
        rows=_rows(found),
        envelope=Data(data, metadata(call, talk, filters=filters)),
        text=lambda: _markdown(found),
    )
    show(sheet, look)


def _markdown(found: ProjectReport) -> str:
    page = BytesIO()
    core.write_report(found, page, file_format="md")
    return page.getvalue().decode().rstrip("\n")


def _rows(found: ProjectReport) -> Iterator[Mapping[str, Any]]:
    """Yield every value of the page with its section, row and column."""
    from pfa_core.reports.sections import page_of

    for section in page_of(found).sections:
        for figure in section.figures:
            yield _row(section.name, figure.label, "value", figure.value)
        for table in section.tables:
            for row in table.rows:
                for column, value in zip(table.columns[1:], row.values[1:], strict=True):
                    yield _row(section.name, row.values[0], column.name, value)


def _row(*values: Any) -> Mapping[str, Any]:
    return dict(zip(COLUMNS, values, strict=True))


def _data(found: ProjectReport) -> dict[str, Any]:
    """Convert the report, its parts in the shapes of the commands that give the same."""
    stats, calendar = found.stats, found.calendar
    return {
        "title": found.title,
        "organization": found.organization_id,
        "organizationName": found.organization_name,
        "userId": found.user_id,
        "madeAt": document(found.made_at),
        "filters": dict(found.filters),
        "top": found.top,
        "stats": stats_data(stats),
        "categories": [group_data(group) for group in stats.groups],
        "otherCategories": [others_data(others) for others in stats.others],
        "calendarBy": list(found.calendar_by),
        "periods": [group_data(group) for group in calendar.months],
        "calendarPeriod": document(calendar.period),
        "years": [group_data(group) for group in calendar.subtotals],
        "moved": document(found.moved),
        "movers": document(found.movers),
        "overPlan": document(found.over_plan),
        "changeSets": document(found.change_sets.groups),
        "conflicts": document(found.conflicts),
        "status": document(found.status),
    }
