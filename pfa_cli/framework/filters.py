"""Options that filter records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfa_cli.framework.options import OfView, OptionGroup
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_core.model.ordering import SortKey
    from pfa_core.model.query import Filters
    from pfa_core.model.view import View

FILTERS = "Filters, on merged values (different options narrow, a repeated one widens)"


def _filter(*names: str, text: str = "", **rest: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=FILTERS, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions(OptionGroup):
    """The filters, named as those of the library."""

    category: Annotated[
        list[str] | None, _filter("--category", metavar="NAME", text="Equipment category.")
    ] = None
    class_: Annotated[
        list[str] | None, _filter("--class", metavar="NAME", text="Equipment class.")
    ] = None
    source: Annotated[
        list[str] | None, _filter("--source", metavar="NAME", text="Rental or Purchase.")
    ] = None
    dor: Annotated[list[str] | None, _filter("--dor", metavar="NAME", text="BEO or PROJECT.")] = (
        None
    )
    area_silo: Annotated[
        list[str] | None, _filter("--area-silo", metavar="NAME", text="Area or silo.")
    ] = None
    manufacturer: Annotated[
        list[str] | None,
        _filter("--manufacturer", metavar="NAME", text="Manufacturer of the equipment."),
    ] = None
    model: Annotated[
        list[str] | None, _filter("--model", metavar="NAME", text="Model of the manufacturer.")
    ] = None
    contract: Annotated[
        list[str] | None, _filter("--contract", metavar="NAME", text="Contract number.")
    ] = None
    currency: Annotated[
        list[str] | None,
        _filter("--currency", metavar="CODE", text="Currency, where one is named."),
    ] = None
    id: Annotated[list[str] | None, _filter("--id", metavar="PFA_ID", text="PFA id.")] = None
    start_from: Annotated[
        str | None,
        _filter("--start-from", metavar="DATE", text="Forecast starts on this day or later."),
    ] = None
    start_to: Annotated[
        str | None,
        _filter("--start-to", metavar="DATE", text="Forecast starts on this day or before."),
    ] = None
    end_from: Annotated[
        str | None,
        _filter("--end-from", metavar="DATE", text="Forecast end on this day or later."),
    ] = None
    end_to: Annotated[
        str | None,
        _filter(
            "--end-to",
            metavar="DATE",
            text="Forecast end on this day or before. An end is the first day without the"
            " equipment: for the last days of use in 2026 give 2027-01-01.",
        ),
    ] = None
    actualized: Annotated[
        bool | None,
        _filter("--actualized/--no-actualized", text="On site and billing."),
    ] = None
    discontinued: Annotated[
        bool | None,
        _filter("--discontinued/--no-discontinued", text="Cancelled; left out of costs."),
    ] = None
    transferable: Annotated[
        bool | None,
        _filter(
            "--transferable/--no-transferable", text="Its funds may be moved to other equipment."
        ),
    ] = None
    no_start: Annotated[bool, _filter("--no-start", text="No forecast start date.")] = False
    no_end: Annotated[bool, _filter("--no-end", text="No forecast end date.")] = False
    no_rate: Annotated[bool, _filter("--no-rate", text="No monthly rate.")] = False
    no_price: Annotated[bool, _filter("--no-price", text="No purchase price.")] = False
    state: Annotated[
        list[str] | None,
        _filter(
            "--state",
            metavar="STATE",
            text="pristine, draft, committed, syncing, sync_error, conflict.",
        ),
    ] = None
    session: Annotated[
        list[str] | None,
        _filter("--session", metavar="NAME", text="Modified by you in this session."),
    ] = None
    changed: Annotated[bool, _filter("--changed", text="Has unpushed changes of yours.")] = False
    search: Annotated[
        str | None,
        _filter(
            "--search",
            metavar="TEXT",
            text="Contained in id, category, class, manufacturer, model, contract, equipment, description.",
        ),
    ] = None

    where: Annotated[
        str | None,
        _filter(
            "--where",
            metavar="EXPR",
            text="Expression, such as 'monthlyRate > 10000 and forecastStart < today+30d'; also pems.FIELD,"
            " mine.FIELD, not, or, in (…), between, contains, is null, is changed.",
        ),
    ] = None

    view: Annotated[
        str | None,
        _filter(
            "--view",
            metavar="NAME",
            text="The filters of a view that pfa view save has kept; others beside it narrow further.",
        ),
    ] = None

    def taken(self) -> Filters:
        """Return the filters that were given, as the library takes them."""
        from pfa_core.model.query import Filters

        given = {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "view"
        }
        return Filters(
            **{name: _frozen(value) for name, value in given.items() if value is not None}
        )

    def applied(self, taken: Filters, view: OfView) -> Filters:
        """Return them within those of the view.

        Raises:
            NotFound: There is no such view.
            InvalidRequest: A filter is in it and beside it, with different values.
        """
        return taken if self.view is None else view.within(self.view, taken)


def require_selecting(view: View | None, filters: Filters) -> None:
    """Refuse a view without filters where nothing else selects.

    That never means everything.

    Raises:
        InvalidRequest: It has none.
    """
    if view and not filters.given():
        raise InvalidRequest(f"the view {view.name} has no filters, so that it selects nothing")


def spelled(filters: Filters) -> list[str]:
    """Spell the filters in force as options, each with its value."""
    words: list[str] = []
    for name in filters.given():
        value = getattr(filters, _ATTRIBUTES[name])
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [f"--{name}", one]
    return words


def ranked_by(
    filters: Filters, ranked: Sequence[str], sort: Sequence[SortKey] = ()
) -> tuple[str, ...]:
    """Rank the columns that filters and order name right behind the first."""
    named = [*replace(filters, search=None, id=()).looked_at(), *(key.field for key in sort)]
    if filters.state or filters.changed:
        named += ["syncState", "state"]
    if filters.session:
        named.append("sessionId")
    first, *others = ranked
    return (first, *dict.fromkeys((*(name for name in named if name in others), *others)))


# The attributes by the names of the options.
_ATTRIBUTES = {item.name.rstrip("_").replace("_", "-"): item.name for item in fields(FilterOptions)}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
