"""`pfa draft unset`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.commands.drafts.group import Everything, draft, select
from pfa_cli.envelopes.drafts import SaveMetadata, Unset
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.current import within_current
from pfa_cli.framework.filters import FilterOptions, require_selecting
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.preview import say_preview
from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import show_records
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_core.errors import InvalidRequest
from pfa_core.model.delta import unwritable
from pfa_core.model.query import Filters
from pfa_core.model.record import FIELDS

if TYPE_CHECKING:
    from pfa_core.drafts.unset import UnsetResult

_COLUMNS = ("pfaId", "version", "status")


@command(
    draft,
    "unset",
    effect=Effect.WRITES,
    examples=(
        "pfa draft unset HOLNG-000123 forecastEnd",
        "pfa draft unset --session weather monthlyRate",
    ),
    exit_codes="6 none of the records has a draft.",
    columns=_COLUMNS,
)
def unset_fields(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    words: Annotated[
        list[str], typer.Argument(metavar="[PFA_ID]... FIELD...", help="Records and fields.")
    ],
    everything: Everything = False,
) -> None:
    """Remove fields from drafts, so that the PEMS values apply again.

    A draft that loses its last field is removed.
    """
    fields = [word for word in words if word in FIELDS]
    wrong = None if fields else unwritable(words[-1])
    if wrong:
        raise InvalidRequest(
            f"{words[-1]}: {wrong.reason}", hint="name the fields after the records"
        )
    ids = [word for word in words if word not in FIELDS]
    if not ids:
        require_selecting(call.view, filters)
    filters = within_current(call, talk, filters, otherwise=everything or bool(ids))
    filters, _ = select(filters, ids, None, everything=everything, view=call.view)
    database, principal = call.open()
    result = core.unset_fields(database, principal, filters, fields, dry_run=call.dry_run)
    _show_unset(call, talk, result)


def _show_unset(call: Invocation, talk: Talk, result: UnsetResult) -> None:
    """Show drafts that lost fields, and those that lost their last one."""
    show_records(
        chain(
            result.unset,
            _without_version(result.emptied, "emptied"),
            _without_version(result.unchanged, "unchanged"),
        ),
        call.look(Format.TABLE),
        number=len(result.unset) + len(result.emptied) + len(result.unchanged),
        envelope=Unset(
            unset=result.unset,
            emptied=result.emptied,
            unchanged=result.unchanged,
            preview=result.preview,
            metadata=SaveMetadata(call.milliseconds),
        ),
        columns=_COLUMNS,
        preview=result.preview,
    )
    talk.done(
        f"{count(len(result.unset), 'draft')} changed, {len(result.emptied):,} removed,"
        f" {len(result.unchanged):,} unchanged"
    )
    say_preview(talk, result.preview)


def _without_version(ids: Sequence[str], status: str) -> Iterator[dict[str, str | None]]:
    for pfa_id in ids:
        yield {"pfaId": pfa_id, "version": None, "status": status}
