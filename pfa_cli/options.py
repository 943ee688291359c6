"""Option groups shared by commands.

A group is a function whose parameters are the options and whose result is the value a command gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from pfa_cli.failures import ErrorFormat
from pfa_cli.helptext import EVERYWHERE
from pfa_cli.render.formats import Format
from pfa_cli.session import Common, camel_case
from pfa_cli.streams import Color
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters, SortKey, parse_sort

FILTERS = "Filters, on merged values (several options narrow, one repeated widens)"
PAGING = "Order and amount"
MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list, in which order."""

    sort: tuple[SortKey, ...]
    page: int | None
    page_size: int | None
    after: str | None
    limit: int | None
    everything: bool

    @property
    def by_page(self) -> bool:
        """Whether one page was asked for outright."""
        return self.page is not None or self.page_size is not None


def everywhere(*names: str, text: str, **rest: Any) -> Any:
    """An option of every command."""
    return typer.Option(*names, help=text, rich_help_panel=EVERYWHERE, **rest)


def common_options(
    *,
    org: Annotated[
        str | None,
        everywhere("--org", metavar="CODE", text="Organization [PFA_ORG]."),
    ] = None,
    profile: Annotated[
        str | None,
        everywhere(
            "--profile", metavar="NAME", text="Profile of the configuration file [PFA_PROFILE]."
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        everywhere(
            "--database-url",
            metavar="URL",
            text="PostgreSQL server [PFA_DATABASE_URL, DATABASE_URL]; none: the embedded one.",
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        everywhere(
            "--token-file",
            metavar="FILE",
            text="Token [PFA_TOKEN_FILE, PFA_TOKEN, `pfa auth login`].",
        ),
    ] = None,
    output: Annotated[
        Format | None,
        everywhere(
            "-o",
            "--output",
            metavar="FORMAT",
            text=f"{', '.join(Format)}. In a pipe: tsv (no header) for lists, text for reports.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        everywhere("--columns", metavar="A,B", text="Only these columns, in this order."),
    ] = None,
    quiet: Annotated[bool, everywhere("-q", "--quiet", text="No hints, no headings.")] = False,
    verbose: Annotated[
        bool, everywhere("-v", "--verbose", text="Say where settings come from.")
    ] = False,
    error_format: Annotated[
        ErrorFormat | None,
        everywhere(
            "--error-format",
            metavar="text|json",
            text="How errors are written; json goes with -o json in a pipe.",
        ),
    ] = None,
    color: Annotated[
        Color | None,
        everywhere("--color", metavar="WHEN", text="auto, always, never [NO_COLOR]."),
    ] = None,
    csv_safe: Annotated[
        bool,
        everywhere(
            "--csv-safe",
            text="In CSV, an apostrophe before what a spreadsheet would take for a formula.",
        ),
    ] = False,
    debug: Annotated[bool, everywhere("--debug", text="Show where an error came from.")] = False,
    dry_run: Annotated[
        bool, everywhere("-n", "--dry-run", text="Do everything, then roll it back.")
    ] = False,
) -> Common:
    """The options everywhere."""
    return Common(**locals())


def _filter(*names: str, text: str = "", **rest: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=FILTERS, **rest)


def filter_options(
    *,
    category: Annotated[list[str] | None, _filter("--category", metavar="NAME")] = None,
    class_: Annotated[list[str] | None, _filter("--class", metavar="NAME")] = None,
    source: Annotated[
        list[str] | None, _filter("--source", metavar="NAME", text="Rental, Purchase.")
    ] = None,
    dor: Annotated[list[str] | None, _filter("--dor", metavar="NAME", text="BEO, PROJECT.")] = None,
    area_silo: Annotated[list[str] | None, _filter("--area-silo", metavar="NAME")] = None,
    manufacturer: Annotated[list[str] | None, _filter("--manufacturer", metavar="NAME")] = None,
    model: Annotated[list[str] | None, _filter("--model", metavar="NAME")] = None,
    contract: Annotated[list[str] | None, _filter("--contract", metavar="NAME")] = None,
    id: Annotated[list[str] | None, _filter("--id", metavar="PFA_ID")] = None,  # noqa: A002
    start_from: Annotated[
        str | None,
        _filter("--start-from", metavar="DATE", text="Forecast starts on this day or later."),
    ] = None,
    start_to: Annotated[
        str | None,
        _filter("--start-to", metavar="DATE", text="Forecast starts on this day or before."),
    ] = None,
    end_from: Annotated[
        str | None,
        _filter("--end-from", metavar="DATE", text="Forecast ends on this day or later."),
    ] = None,
    end_to: Annotated[
        str | None, _filter("--end-to", metavar="DATE", text="Forecast ends on this day or before.")
    ] = None,
    actualized: Annotated[bool | None, _filter("--actualized/--no-actualized")] = None,
    discontinued: Annotated[bool | None, _filter("--discontinued/--no-discontinued")] = None,
    transferable: Annotated[bool | None, _filter("--transferable/--no-transferable")] = None,
    state: Annotated[
        list[str] | None,
        _filter(
            "--state",
            metavar="STATE",
            text="pristine, draft, committed, syncing, sync_error, conflict.",
        ),
    ] = None,
    session: Annotated[
        list[str] | None,
        _filter("--session", metavar="NAME", text="Modified by me in this session."),
    ] = None,
    changed: Annotated[bool, _filter("--changed", text="Touched by me.")] = False,
    search: Annotated[
        str | None,
        _filter(
            "--search",
            metavar="TEXT",
            text="Contained in id, category, class, manufacturer, model, contract, equipment, description.",
        ),
    ] = None,
) -> Filters:
    """The filters."""
    given = locals()
    return Filters(**{name: _frozen(value) for name, value in given.items() if value is not None})


def _amount(*names: str, text: str, **rest: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=PAGING, **rest)


def paging_options(
    *,
    sort: Annotated[
        str,
        _amount(
            "--sort", metavar="FIELD,-FIELD", text="Order; a dash turns it round, nulls stay last."
        ),
    ] = "forecastStart",
    page: Annotated[int | None, _amount("--page", metavar="N", min=1, text="Which page.")] = None,
    page_size: Annotated[
        int | None,
        _amount("--page-size", metavar="N", min=1, max=MAX_PAGE, text="Records of a page."),
    ] = None,
    after: Annotated[
        str | None, _amount("--after", metavar="CURSOR", text="Go on behind a page: its `next`.")
    ] = None,
    limit: Annotated[
        int | None,
        _amount("--limit", metavar="N", min=0, text="At most so many records; 0: all."),
    ] = None,
    everything: Annotated[
        bool, _amount("--all", text="All records, in JSON and tables too.")
    ] = False,
) -> Paging:
    """Order, page and limit."""
    if page is not None and after is not None:
        raise InvalidRequest(
            "--after goes on where a page ended; --page counts from the begin: give one"
        )
    return Paging(parse_sort(_fields_of(sort)), page, page_size, after, limit, everything)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _fields_of(sort: str) -> str:
    keys = [key.strip() for key in sort.split(",")]
    return ",".join(
        "-" + camel_case(key[1:]) if key.startswith("-") else camel_case(key) for key in keys
    )
