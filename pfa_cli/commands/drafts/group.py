"""The group `pfa draft` with its selection of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from pfa_cli.framework.compose import group
from pfa_cli.framework.filters import require_selecting
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.view import View

app = typer.Typer(rich_markup_mode=None)
draft = group(
    app,
    "draft",
    "Write drafts: private changes over the PEMS values.",
    modules={
        "save": f"{__package__}.save",
        "set": f"{__package__}.set_fields",
        "shift": f"{__package__}.shift",
        "unset": f"{__package__}.unset",
        "list": f"{__package__}.view",
    },
)

Everything = Annotated[
    bool, typer.Option("--all", help="Every record; required when nothing else selects.")
]


def select(
    filters: Filters,
    ids: Sequence[str],
    into: str | None,
    *,
    everything: bool,
    view: View | None = None,
) -> tuple[Filters, str | None]:
    """Combine filters and named records; return them with the session to save in.

    Args:
        view: The view that the filters are of.

    Raises:
        InvalidRequest: Nothing narrows the records and --all was not given; or both. The view has no filters, or
            names records beside those that are named.
    """
    session = into
    if not ids:
        require_selecting(view, filters)
    if ids and view and view.filters.id:
        raise InvalidRequest(f"records are named, and the view {view.name} names some too")
    if ids:
        if len(filters.session) > 1:
            raise InvalidRequest("--session can be given once when records are named")
        session = into or (filters.session[0] if filters.session else None)
        filters = replace(filters, id=(*filters.id, *ids), session=())
    if not filters.given() and not everything:
        raise InvalidRequest(
            "no record is selected", hint="name records, give a filter, or --all for every record"
        )
    if filters.given() and everything:
        raise InvalidRequest("--all cannot be combined with another selection")
    return filters, session
