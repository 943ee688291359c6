"""The options of order and amount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from pfa_cli.render.json import camel_case
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import SortKey, parse_sort

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


def _fields_of(sort: str) -> str:
    keys = [key.strip() for key in sort.split(",")]
    return ",".join(
        "-" + camel_case(key[1:]) if key.startswith("-") else camel_case(key) for key in keys
    )
