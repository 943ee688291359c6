"""Options of order and amount."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfa_cli.framework.options import OfView, OptionGroup
from pfa_cli.render.names import camel_case
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_core.model.ordering import Order, SortKey

PAGING = "Order and amount"
MAX_PAGE = 10_000


Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Maximum number of rows.")
]


def sort_option(order: Order) -> Any:
    """Declare the option --sort of a list with a closed set of keys."""
    return typer.Option(
        "--sort",
        metavar="KEY,-KEY",
        help=f"Order by {', '.join(order.keys)}; prefix - for descending, nulls come last.",
    )


def sort_keys(text: str) -> str:
    """Spell the keys of --sort as JSON does: `started-at` is `startedAt`."""
    return ",".join(map(_field, text.split(",")))


def _amount(*names: str, text: str, **rest: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=PAGING, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging(OptionGroup):
    """Which part of a list, in which order."""

    sort: Annotated[
        str | None,
        _amount(
            "--sort",
            metavar="FIELD,-FIELD",
            text="Sort order; prefix - for descending, nulls come last. Default: that of the view, else"
            " forecastStart.",
        ),
    ] = None
    page: Annotated[
        int | None, _amount("--page", metavar="N", min=1, text="Page number, from 1.")
    ] = None
    page_size: Annotated[
        int | None,
        _amount("--page-size", metavar="N", min=1, max=MAX_PAGE, text="Records per page."),
    ] = None
    after: Annotated[
        str | None,
        _amount(
            "--after", metavar="CURSOR", text="Continue after this cursor (`pagination.next`)."
        ),
    ] = None
    limit: Annotated[
        int | None,
        _amount("--limit", metavar="N", min=0, text="Maximum number of records; 0: all."),
    ] = None
    everything: Annotated[bool, _amount("--all", text="All records, in JSON and tables too.")] = (
        False
    )

    def taken(self) -> Paging:
        """Return the options.

        Raises:
            InvalidRequest: Two places to begin, two amounts, or an unknown sort key.
        """
        self._require_one_amount()
        _ = self.keys
        return self

    def applied(self, taken: Paging, view: OfView) -> Paging:
        """Return the options, without --sort with the order of the view that is named.

        Raises:
            InvalidRequest: An invalid cursor.
        """
        if taken.sort is None:
            taken = replace(taken, sort=view.sort)
        if taken.after:
            from pfa_core.model.cursor import decode_cursor

            decode_cursor(taken.keys, taken.after)
        return taken

    def _require_one_amount(self) -> None:
        paged, all_of_it = self.page is not None, "--all" if self.everything else "--limit 0"
        for wrong, combination in (
            (paged and self.after is not None, "--after and --page"),
            (paged and (self.everything or self.limit == 0), f"--page and {all_of_it}"),
            (self.everything and self.limit, f"--all and --limit {self.limit}"),
        ):
            if wrong:
                raise InvalidRequest(f"{combination} cannot be combined")
        if paged and self.page_size is None and (self.limit or 0) > MAX_PAGE:
            raise InvalidRequest(f"a page has at most {MAX_PAGE:,} records, not {self.limit}")

    @property
    def keys(self) -> tuple[SortKey, ...]:
        """The sort keys."""
        from pfa_core.model.query import parse_sort

        return parse_sort(sort_keys(self.sort or ""))

    @property
    def by_page(self) -> bool:
        """Whether --page or --page-size was given."""
        return self.page is not None or self.page_size is not None


def _field(text: str) -> str:
    name = text.strip()
    return "-" + camel_case(name[1:]) if name.startswith("-") else camel_case(name)
