"""`pfa show --history`."""

from __future__ import annotations

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import learn_ids
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.history import history_rows
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

_EVENTS = 100  # of a record
_COLUMNS = ("at", "by", "event", "change", "costEffect", "sessionId", "reason")
_CSV = (
    "pfaId",
    "at",
    "event",
    "from",
    "userId",
    "change",
    "costEffect",
    "sessionId",
    "reason",
    "runId",
)


def show_histories(call: Invocation, talk: Talk, ids: list[str], limit: int | None) -> None:
    """Show the last events of each record, the newest first."""
    database, principal = call.open()
    most = limit or _EVENTS
    found = [core.record_history(database, principal, pfa_id, limit=most) for pfa_id in ids]
    talk.mask(*found)
    learn_ids(call, (item.pfa_id for item in found))
    look = call.look(Format.TSV)
    columns = _COLUMNS if len(ids) == 1 else ("pfaId", *_COLUMNS)
    sheet = Sheet(
        id_column="pfaId",
        columns=columns,
        csv_columns=_CSV,
        numbers=frozenset(("costEffect",)),
        ranked=columns,
        items=map(document, found),
        rows=history_rows(found, for_people=look.is_page),
        envelope=Data(found, metadata(call, talk)),
    )
    show(sheet, look)
    if any(len(item.entries) == most for item in found):
        talk.say(f"the newest {most:,} events; --limit N shows more")
