"""`pfa draft shift`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.commands.drafts.group import Everything, draft, select
from pfa_cli.commands.drafts.saving import (
    COLUMNS,
    Into,
    Move,
    Partial,
    Reason,
    show_saved,
)
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.current import session_or_current
from pfa_cli.framework.filters import FilterOptions
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_core.model.query import Filters

# As relative dates of `draft set`, whose months and years have no number of days.
_DAYS = re.compile(r"([+-]?[0-9]{1,9})([dw]?)", re.IGNORECASE)


def days_of(text: str) -> int:
    """Parse a number of days or weeks: 14, 14d, -2w.

    Raises:
        BadParameter: The text has another form.
    """
    found = _DAYS.fullmatch(text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} is not a number of days or weeks: 14, 14d, -2w")
    number, unit = found.groups()
    return int(number) * (7 if unit.lower() == "w" else 1)


@command(
    draft,
    "shift",
    effect=Effect.WRITES,
    negative=True,
    examples=(
        'pfa draft shift 14 --area-silo "Silo 4" --no-actualized --into weather-silo4',
        "pfa draft shift -7 --session weather-silo4",
    ),
    exit_codes="3 with --partial when some were rejected; 9 nothing saved.",
    columns=COLUMNS,
)
def shift(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    days: Annotated[
        int,
        typer.Argument(
            metavar="DAYS", parser=days_of, help="Days later, or weeks as 2w; negative: earlier."
        ),
    ],
    into: Into = None,
    reason: Reason = None,
    move: Move = False,
    partial: Partial = False,
    everything: Everything = False,
) -> int:
    """Move both forecast dates of all records that the filters find.

    Actualized records are rejected: exclude them with --no-actualized, or add --partial.
    """
    filters, session = select(filters, (), into, everything=everything, view=call.view)
    session = session_or_current(call, talk, session, otherwise=bool(filters.session))
    database, principal = call.open()
    result = core.shift(
        database,
        principal,
        filters,
        days,
        reason=reason,
        session_id=session,
        move=move,
        partial=partial,
        dry_run=call.dry_run,
    )
    return show_saved(call, talk, result)
