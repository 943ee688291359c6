"""Options that select drafts, for the commands of their life cycle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.framework.current import session_or_current
from pfa_cli.framework.filters import require_selecting
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_cli.framework.invocation import Invocation
    from pfa_cli.framework.talk import Talk
    from pfa_core.drafts.selection import Selection

VERSIONS = ("pfaId", "modificationId", "version")

Session = Annotated[
    str | None, typer.Option("--session", metavar="NAME", help="Only this session [PFA_SESSION].")
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="PFA_ID", help="Only this record; may be repeated."),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="EXPR", help="Only records of which this is true; as for `pfa list`."
    ),
]
ViewName = Annotated[
    str | None,
    typer.Option(
        "--view", metavar="NAME", help="Only records of this saved view; as for `pfa list`."
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="All of yours in the organization.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The options as they were given."""

    session: str | None = None
    ids: list[str] | None = None
    where: str | None = None
    view: str | None = None
    everything: bool = False

    def required(self, call: Invocation, talk: Talk, verb: str) -> Selection:
        """Combine the options, at least one of them.

        Raises:
            InvalidRequest: Nothing is selected; else as `chosen`.
        """
        selection = self.chosen(call, talk)
        if selection.empty:
            raise InvalidRequest(
                f"nothing to {verb} is selected",
                hint="give --session NAME, --id PFA_ID, --where EXPR, --view NAME or --all",
            )
        return selection

    def chosen(self, call: Invocation, talk: Talk) -> Selection:
        """Combine the options.

        It is in the current session where neither a session nor records are named.

        Raises:
            NotFound: There is no such view.
            InvalidRequest: --all beside another selection, or a view that says something else than another
                option, or that has no filters.
        """
        filters = self._within_view(call, talk)
        named = self.everything or bool(self.ids or filters.session or filters.id)
        session = session_or_current(call, talk, self.session, otherwise=named)
        if self.everything and (session or self.ids or filters.given()):
            raise InvalidRequest("--all cannot be combined with another selection")
        # Records that are named have to exist; a view may name some that do not.
        return core.Selection(
            session_id=session,
            ids=tuple(self.ids or ()),
            everything=self.everything,
            filters=replace(filters, id=()) if self.ids else filters,
        )

    def _within_view(self, call: Invocation, talk: Talk) -> Filters:
        if self.view is None:
            return Filters(where=self.where)
        from pfa_cli.framework.views import within_view  # most name none

        sessions = (self.session,) if self.session else ()
        beside = Filters(id=tuple(self.ids or ()), session=sessions, where=self.where)
        found = within_view(call, talk, self.view, beside)
        require_selecting(call.view, found)
        return found
