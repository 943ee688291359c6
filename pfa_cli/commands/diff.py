"""`pfa diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.diff_views import ViewOptions
from pfa_cli.envelopes.diff import Diff, DiffSummary
from pfa_cli.exit_codes import DIFFERS
from pfa_cli.framework.common import require_columns
from pfa_cli.framework.compose import command
from pfa_cli.framework.current import AllSessions, hint_other_sessions, within_current
from pfa_cli.framework.filters import FilterOptions, ranked_by
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import Limit, sort_keys
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import signed, sums_text
from pfa_cli.render.json import document
from pfa_cli.render.lines import as_items, as_rows, layout_for
from pfa_cli.render.output import Sheet, show
from pfa_core.model.modification import OVERLAYING
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.drafts.diff import DiffEntry, DiffTotals
    from pfa_core.model.layout import Layout

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("pfaId", "field", "before", "after", "costEffect", "sessionId", "state")
_SHOWN_OF_ONE = tuple(name for name in _COLUMNS if name != "sessionId")
_CSV = (*_COLUMNS, "version", "changeReason", "modificationId")


@command(
    app,
    "diff",
    examples=(
        "pfa diff",
        "pfa diff weather-silo4 -o csv > what-changes.csv",
        "pfa diff --by reason --chart",
        "pfa diff --top 20",
        "pfa diff weather-silo4 rates-may",
    ),
    exit_codes="10 with --exit-code when something differs.",
    offered=_CSV,
)
def diff(
    call: Invocation,
    talk: Talk,
    views: ViewOptions,
    filters: Annotated[Filters, FilterOptions],
    *,
    sessions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SESSION [OTHER]]", help="Only this session; two are compared."),
    ] = None,
    limit: Limit = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="FIELD,-FIELD",
            help="Order by fields of the merged records, as `pfa list`; prefix - for descending.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 when something differs.")
    ] = False,
    everything: AllSessions = False,
) -> int:
    """Show each drafted field before and after, with its cost effect.

    The effect of a record is in the line of its first field; all lines add up. With --limit the sums are
    those of what is shown.
    """
    named = sessions or []
    views.require_one(named, limit=limit, sort=sort)
    asked = filters
    filters = within_current(call, talk, filters, otherwise=everything or bool(named))
    if views.is_chosen(named):
        fields = views.show(call, talk, filters, named, limit=limit)
        return DIFFERS if exit_code and fields else 0
    require_columns(call.common.chosen_columns, _CSV)
    session_id = named[0] if named else None
    totals = core.DiffTotals()
    look = call.look(Format.TSV)
    found = _found(
        call,
        filters,
        layout_for(look, _COLUMNS, _CSV),
        totals,
        session_id=session_id,
        limit=limit,
        sort=sort_keys(sort or "pfaId"),
    )
    first = list(islice(found, 1))  # read at once: a refusal precedes any output
    talk.mask(totals)
    entries = chain(first, found)
    sheet = Sheet(
        id_column="pfaId",
        columns=_SHOWN_OF_ONE if look.is_page and session_id else _COLUMNS,
        csv_columns=_CSV,
        numbers=frozenset(("costEffect",)),
        ranked=ranked_by(filters, _COLUMNS),
        is_summed=True,
        items=as_items(entries),
        rows=as_rows(entries, lambda entry: _rows(entry, for_people=look.is_page)),
        envelope=Diff(
            as_items(entries),
            lambda: DiffSummary(totals.record_count, totals.field_count, totals.cost_effect),
            lambda: metadata(call, talk, filters=filters),
        ),
    )
    show(sheet, look)
    if first:
        talk.say(sums_text(totals.record_count, totals.field_count, totals.cost_effect))
    else:
        _say_nothing_found(call, talk, filters, asked)
    return DIFFERS if exit_code and totals.field_count else 0


def _say_nothing_found(call: Invocation, talk: Talk, filters: Filters, asked: Filters) -> None:
    talk.say("no differences to PEMS")
    states = filters.state or OVERLAYING
    narrowed = filters is not asked
    if not (narrowed and hint_other_sessions(call, talk, states, "pfa diff")):
        hint_nothing_found(call, talk, asked, "")


def _found(
    call: Invocation,
    filters: Filters,
    layout: Layout | None,
    totals: DiffTotals,
    *,
    session_id: str | None,
    limit: int | None,
    sort: str | None,
) -> Iterator[DiffEntry | str]:
    """Find the entries; as lines where the database makes what is to be written."""
    database, principal = call.open()
    if layout is not None:
        return core.stream_diff_lines(
            database,
            principal,
            filters,
            layout,
            session_id=session_id,
            totals=totals,
            limit=limit,
            sort=sort,
        )
    return core.stream_diff(
        database,
        principal,
        filters,
        session_id=session_id,
        totals=totals,
        limit=limit,
        sort=sort,
    )


def _rows(entry: DiffEntry, *, for_people: bool) -> list[Mapping[str, Any]]:
    effect = entry.cost_effect
    shown = signed(effect) if for_people and effect is not None else effect
    same = {
        "pfaId": entry.pfa_id,
        "sessionId": entry.session_id,
        "state": str(entry.state),
        "version": entry.version,
        "changeReason": entry.change_reason,
        "modificationId": entry.modification_id,
    }
    changes = entry.changes
    if not changes:
        return [{**same, "costEffect": shown}]
    return [
        {**same, **document(change), "costEffect": None if index else shown}
        for index, change in enumerate(changes)
    ]
