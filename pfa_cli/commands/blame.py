"""`pfa blame`."""

from __future__ import annotations

from typing import Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import learn_ids
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.history import blame_rows
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("field", "value", "by", "at", "from", "sessionId", "reason", "runId")
_CSV = ("pfaId", "field", "value", "before", "from", "userId", "at", "sessionId", "reason", "runId")


@command(
    app,
    "blame",
    examples=("pfa blame HOLNG-000123", "pfa blame HOLNG-000123 -o csv --columns field,at,userId"),
    exit_codes="6 when the record does not exist.",
    columns=(*_CSV, "by"),
)
def blame(
    call: Invocation,
    talk: Talk,
    *,
    pfa_id: Annotated[str, typer.Argument(metavar="PFA_ID", help="The record.")],
) -> None:
    """Show where each value of a record comes from: who, when, which run.

    The values are those that you see. `from` is mine for a modification of yours, push for what a push
    brought to PEMS (by its author, where you may see the commit, else by the user of the push), pems for
    what a pull or a push found changed there. Without a time the value is older than what is kept.
    """
    database, principal = call.open()
    found = core.blame(database, principal, pfa_id)
    talk.mask(found)
    learn_ids(call, [found.pfa_id])
    sheet = Sheet(
        id_column="pfaId",
        columns=_COLUMNS,
        csv_columns=_CSV,
        ranked=_COLUMNS,
        items=map(document, found.fields),
        rows=blame_rows(found),
        envelope=Data(found, metadata(call, talk)),
    )
    show(sheet, call.look(Format.TSV))
