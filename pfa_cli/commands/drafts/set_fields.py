"""`pfa draft set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.commands.drafts.group import Everything, draft, select
from pfa_cli.commands.drafts.saving import (
    COLUMNS,
    Into,
    KeepEqual,
    Move,
    Partial,
    Reason,
    SkipMissing,
    show_saved,
)
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.current import session_or_current
from pfa_cli.framework.filters import FilterOptions
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    pass


@command(
    draft,
    "set",
    effect=Effect.WRITES,
    examples=(
        "pfa draft set HOLNG-000123 forecastEnd=2027-02-15 --reason 'Weather'",
        'pfa draft set --area-silo "Silo 4" --source Rental dor=BEO',
        "pfa draft set --category Crane --source Rental monthlyRate=+5% --round 2 -n",
        "pfa draft set HOLNG-000123 forecastStart=originalStart forecastEnd=+2w",
        "pfa draft set HOLNG-000123 equipment=",
    ),
    exit_codes="6 no such record; 9 a value or a merged record breaks a rule.",
    columns=COLUMNS,
)
def set_fields(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[PFA_ID]... FIELD=VALUE...", help="Records and new values; empty clears."
        ),
    ],
    into: Into = None,
    reason: Reason = None,
    move: Move = False,
    partial: Partial = False,
    keep_equal: KeepEqual = False,
    skip_missing: SkipMissing = False,
    decimals: Annotated[
        int | None,
        typer.Option(
            "--round",
            metavar="DECIMALS",
            min=0,
            max=6,
            help="Round relative numbers half up, 2: to cents.",
        ),
    ] = None,
    everything: Everything = False,
) -> int:
    """Set fields of the named records, or of all that the filters find.

    Numbers and dates may be relative to what pfa list shows of each record: monthlyRate=+5%, -10%, +250, -250,
    *1.05 or /2; forecastEnd=+14d, -2w, +1m or +1y; or the name of another number or date. Typed twice they are
    applied twice. --session narrows to records of a session; with ids it names the session to save in.
    """
    ids = [word for word in words if "=" not in word]
    assignments = [word for word in words if "=" in word]
    if not assignments:
        raise InvalidRequest("no FIELD=VALUE is given", hint="type: pfa draft set --help")
    filters, session = select(filters, ids, into, everything=everything, view=call.view)
    delta = core.parse_assignments(assignments, relative=True, decimals=decimals)
    session = session_or_current(call, talk, session, otherwise=bool(filters.session))
    database, principal = call.open()
    result = core.set_fields(
        database,
        principal,
        filters,
        delta,
        reason=reason,
        session_id=session,
        move=move,
        partial=partial,
        keep_equal=keep_equal,
        skip_missing=skip_missing,
        dry_run=call.dry_run,
    )
    return show_saved(call, talk, result)
