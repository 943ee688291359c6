"""`pfa changes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.changes import Changes, ChangeSummary, CursorPagination
from pfa_cli.framework.compose import command
from pfa_cli.framework.filters import FilterOptions, ranked_by
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import learn_ids
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.moments import parse_window
from pfa_cli.framework.paging import MAX_PAGE, sort_keys, sort_option
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.history import change_rows, totals_text
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.model.ordering import CHANGES
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.changes import ChangeTotals, ChangeWindow, RecordChange

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("pfaId", "change", "field", "before", "after", "costEffect", "changedAt")
_CSV = (*_COLUMNS, "version", "direction", "runBy", "runId")
_TABLE_RECORDS = 50
_JSON_RECORDS = 100
_DAY = timedelta(hours=24)


@command(
    app,
    "changes",
    examples=(
        "pfa changes --since 24h",
        "pfa changes --run RUN --sort -costEffect --limit 20",
        "pfa changes --since 2026-03-02 --until 2026-03-08 -o csv > week.csv",
        "pfa changes --since 7d --category Crane --where 'monthlyRate > 10000'",
    ),
    exit_codes="0 also when nothing changed; 6 unknown run.",
    columns=_CSV,
)
def changes(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME|RUN",
            help="From this time (a day, an instant, or 24h), or from the beginning of a run; default 24h.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="Until this time: a day (to its end), or as above."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Only what this pull or push brought."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=0, help="Maximum number of records; 0: all."),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            "--after", metavar="CURSOR", help="Continue after this cursor (`pagination.next`)."
        ),
    ] = None,
    sort: Annotated[str, sort_option(CHANGES)] = CHANGES.default,
) -> None:
    """Show records that changed in PEMS, field by field, with the cost effect.

    A record is shown once: as it was before, and as it is at the end of the time asked of. The cost effect is
    that on the forecast cost of the PEMS values. New records and
    missing ones have no fields. The effect of a record is in the line of its first field; all lines add up.
    What a push brought is in PEMS, so it is shown too. json holds one page and a table 50 records, with the sums
    of all; csv, tsv, jsonl and ids stream every record, or --limit of them with their sums.
    """
    now = datetime.now(UTC)
    window = parse_window(since, until, run, now, otherwise=_DAY)
    look = call.look(Format.TSV)
    reading = _Reading(
        call=call, talk=talk, window=window, filters=filters, sort=sort_keys(sort), after=after
    )
    in_pages = look.format in (Format.JSON, Format.TABLE, Format.MARKDOWN)
    size = limit or (_JSON_RECORDS if look.format is Format.JSON else _TABLE_RECORDS)
    if in_pages and limit != 0 and size <= MAX_PAGE:
        totals = reading.show_page(look, size)
    else:
        totals = reading.show_all(look, limit or None)
    if totals.record_count:
        talk.say(totals_text(totals))
    elif after is None:
        talk.say("no changes in PEMS")
        if filters.given():
            hint_nothing_found(call, talk, filters, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One question, answered by a page or by a stream."""

    call: Invocation
    talk: Talk
    window: ChangeWindow
    filters: Filters
    sort: str
    after: str | None

    def show_page(self, look: Look, size: int) -> ChangeTotals:
        """Show one page; return the totals of all pages."""
        database, principal = self.call.open()
        page = core.list_changes(
            database,
            principal,
            self.window,
            self.filters,
            limit=size,
            after=self.after,
            sort=self.sort,
        )
        self.talk.mask(page.totals)
        learn_ids(self.call, (item.pfa_id for item in page.changes))
        show(self._sheet(iter(page.changes), look, lambda: page.totals, size, page.next), look)
        shown, total = len(page.changes), page.totals.record_count
        if page.next and look.format is Format.TABLE:
            self.talk.say(f"{shown:,} of {count(total, 'record')}; --limit 0 shows all")
        return page.totals

    def show_all(self, look: Look, limit: int | None) -> ChangeTotals:
        """Show a stream; return the totals of what was shown."""
        database, principal = self.call.open()
        counted = core.ChangeCount()
        found = core.stream_changes(
            database,
            principal,
            self.window,
            self.filters,
            limit=limit,
            after=self.after,
            sort=self.sort,
            counted=counted,
        )
        first = list(islice(found, 1))  # read at once: a refusal precedes any output
        self.talk.mask(counted)
        show(self._sheet(chain(first, found), look, lambda: counted.totals), look)
        return counted.totals

    def _sheet(
        self,
        items: Iterator[RecordChange],
        look: Look,
        totals: Callable[[], ChangeTotals],
        size: int | None = None,
        following: str | None = None,
    ) -> Sheet:
        """Make a sheet of a page of this size, or of a stream.

        The totals of a stream are known after its last item.
        """

        def pagination() -> CursorPagination:
            total = totals().record_count
            return CursorPagination(
                page_size=size or max(total, 1), total_records=total, next=following
            )

        def summary() -> ChangeSummary:
            found = totals()
            return ChangeSummary(
                records=found.record_count,
                new=found.new,
                changed=found.changed,
                missing=found.missing,
                cost_effect=found.cost_effect,
            )

        return Sheet(
            id_column="pfaId",
            columns=_COLUMNS,
            csv_columns=_CSV,
            numbers=frozenset(("costEffect",)),
            ranked=ranked_by(self.filters, _COLUMNS),
            is_summed=True,
            items=map(document, items),
            rows=(row for item in items for row in change_rows(item, for_people=look.is_page)),
            envelope=Changes(
                items,
                summary,
                pagination,
                lambda: metadata(self.call, self.talk, filters=self.filters),
            ),
        )
