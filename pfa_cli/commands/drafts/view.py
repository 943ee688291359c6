"""`pfa draft list`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Annotated

import pfa_core as core
from pfa_cli.commands.drafts.group import draft
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.current import AllSessions, hint_other_sessions, within_current
from pfa_cli.framework.filters import FilterOptions, ranked_by
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import Limit, sort_keys, sort_option
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.lines import as_items, as_rows, layout_for
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.plain import plain
from pfa_core.model.modification import State
from pfa_core.model.ordering import DRAFTS
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.layout import Layout
    from pfa_core.model.modification import ModificationView

_COLUMNS = ("pfaId", "sessionId", "state", "version", "fields", "changeReason", "updatedAt")
_RANKED = ("pfaId", "fields", "sessionId", "state", "updatedAt", "changeReason")
_CSV = ("pfaId", "modificationId", "sessionId", "state", "version", "delta", "changeReason",
        "createdAt", "updatedAt", "committedAt")  # fmt: skip


@command(
    draft,
    "list",
    examples=(
        "pfa draft list",
        "pfa draft list --session weather -o jsonl",
        "pfa draft list --state committed",
        "pfa draft list --sort -updatedAt --limit 20",
    ),
    columns=tuple(dict.fromkeys((*_COLUMNS, *_CSV))),
)
def list_drafts(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    limit: Limit = None,
    sort: Annotated[str, sort_option(DRAFTS)] = DRAFTS.default,
    *,
    everything: AllSessions = False,
) -> None:
    """List your drafts; other states with --state."""
    asked = filters
    filters = within_current(call, talk, filters, otherwise=everything)
    look = call.look(Format.TSV)
    found = _found(
        call,
        talk,
        filters,
        layout_for(look, _COLUMNS, _CSV),
        limit=limit,
        sort=sort_keys(sort),
    )
    first = list(islice(found, 1))  # read at once: a refusal precedes any output
    shown = count()
    drafts = (item for item, _ in zip(chain(first, found), shown, strict=False))
    sheet = Sheet(
        id_column="pfaId",
        columns=_COLUMNS,
        csv_columns=_CSV,
        ranked=ranked_by(filters, _RANKED),
        items=as_items(drafts),
        rows=as_rows(drafts, _rows),
        envelope=Data(
            as_items(drafts),
            lambda: metadata(call, talk, filters=filters, total_records=next(shown)),
        ),
    )
    show(sheet, look)
    if not first:
        narrowed = filters is not asked
        states = filters.state or (State.DRAFT,)
        if not (narrowed and hint_other_sessions(call, talk, states, "pfa draft list")):
            hint_nothing_found(
                call, talk, asked, "no drafts; write some: pfa draft save, set or shift"
            )


def _found(
    call: Invocation,
    talk: Talk,
    filters: Filters,
    layout: Layout | None,
    *,
    limit: int | None,
    sort: str | None,
) -> Iterator[ModificationView | str]:
    """Find the drafts; as lines where the database makes what is to be written."""
    database, principal = call.open()

    def mark() -> None:
        talk.masked = True

    if layout is not None:
        return core.stream_draft_lines(
            database, principal, filters, layout, limit=limit, sort=sort, masked=mark
        )
    found = core.stream_drafts(database, principal, filters, limit=limit, sort=sort)
    return _marked(talk, found)


def _marked(talk: Talk, found: Iterator[ModificationView]) -> Iterator[ModificationView]:
    for item in found:
        talk.mask(item)
        yield item


def _rows(item: ModificationView) -> list[Mapping[str, object]]:
    fields = ", ".join(
        f"{name}={'null' if value is None else plain(value)}" for name, value in item.delta.items()
    )
    return [{**document(item), "fields": fields}]
