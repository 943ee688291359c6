"""`pfa log --pems`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.moments import parse_window
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.history import event_row
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_core.model.changes import RecordChange

_COLUMNS = ("at", "pfaId", "by", "event", "change", "costEffect")
_CSV = ("at", "pfaId", "event", "change", "costEffect", "direction", "userId", "version", "runId")
_RANKED = ("at", "pfaId", "change", "costEffect", "by", "event")


def refuse_with_pems(given: Mapping[str, object]) -> None:
    """Refuse options about users and sessions, which PEMS does not have.

    Raises:
        InvalidRequest: One of them was given.
    """
    for option, value in given.items():
        if value:
            raise InvalidRequest(f"--pems and {option} cannot be combined")


def show_pems_log(
    call: Invocation,
    talk: Talk,
    pfa_id: str | None,
    *,
    since: str | None,
    until: str | None,
    run: str | None,
    limit: int,
) -> None:
    """Show each change of a record in PEMS, the newest first."""
    window = parse_window(since, until, run, datetime.now(UTC))
    database, principal = call.open()
    counted = _Counted(talk)
    found = counted.through(
        core.stream_pems_log(database, principal, window, pfa_id=pfa_id, limit=limit)
    )
    look = call.look(Format.TSV)
    sheet = Sheet(
        id_column="pfaId",
        columns=_COLUMNS,
        csv_columns=_CSV,
        numbers=frozenset(("costEffect",)),
        ranked=_RANKED,
        items=map(document, found),
        rows=(event_row(item, for_people=look.is_page) for item in found),
        envelope=Data(found, lambda: metadata(call, talk)),
    )
    show(sheet, look)
    if counted.number == limit:
        talk.say(f"the newest {limit:,} changes; --limit N shows more")
    if not counted.number:
        talk.hint("nothing changed in PEMS")


class _Counted:
    """Changes, counted as they are read; whether money is masked in one is remembered."""

    def __init__(self, talk: Talk) -> None:
        self.number = 0
        self._talk = talk

    def through(self, found: Iterator[RecordChange]) -> Iterator[RecordChange]:
        for item in found:
            self.number += 1
            self._talk.mask(item)
            yield item
