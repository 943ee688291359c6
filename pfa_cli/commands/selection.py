"""Options that select drafts, for the commands of their life cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
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
Everything = Annotated[bool, typer.Option("--all", help="All of yours in the organization.")]


def select(
    session: str | None, ids: list[str] | None, where: str | None, *, everything: bool
) -> Selection:
    """Combine the options.

    Raises:
        InvalidRequest: --all beside another selection.
    """
    if everything and (session or ids or where is not None):
        raise InvalidRequest("--all cannot be combined with another selection")
    return core.Selection(
        session_id=session, ids=tuple(ids or ()), everything=everything, where=where
    )


def require_selection(
    verb: str, session: str | None, ids: list[str] | None, where: str | None, *, everything: bool
) -> Selection:
    """Combine the options, at least one of them.

    Raises:
        InvalidRequest: Nothing is selected, or --all beside another selection.
    """
    if not (session or ids or everything) and where is None:
        raise InvalidRequest(
            f"nothing to {verb} is selected",
            hint="give --session NAME, --id PFA_ID, --where EXPR or --all",
        )
    return select(session, ids, where, everything=everything)
