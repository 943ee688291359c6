"""`pfa list` and `pfa show`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.filters import FilterOptions, ranked_by
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import learn_ids, learn_records
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import MAX_PAGE, Paging
from pfa_cli.framework.progress import ProgressLine
from pfa_cli.framework.suggestions import hint_nothing_found
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import document
from pfa_cli.render.output import RawJson, Sheet, dumps, json_writer, narrowed, show
from pfa_cli.render.records import (
    ALL_COLUMNS,
    KNOWN_COLUMNS,
    NUMBERS,
    RANKED,
    TABLE_COLUMNS,
    element,
    row,
)
from pfa_core.errors import InvalidRequest
from pfa_core.model.humanize import count
from pfa_core.model.query import DEFAULT_SORT, Filters, Query
from pfa_core.model.record import COSTS

if TYPE_CHECKING:
    from pfa_cli.envelopes.records import Pagination
    from pfa_core.model.merged import MergedRecord, RecordPage
    from pfa_core.model.ordering import SortKey

app = typer.Typer(rich_markup_mode=None)
TABLE_ROWS = 50
JSON_PAGE = 100
DETAIL_COLUMNS = ("pfaId", "field", "baseline", "mine", "merged")
HISTORY_COLUMNS = ("at", "by", "event", "change", "costEffect", "sessionId", "reason", "from", "userId",
                   "runId")  # fmt: skip


@command(
    app,
    "list",
    examples=(
        "pfa list --org HOLNG --category Crane",
        'pfa list --area-silo "Silo 4" --start-from 2026-12-01 --sort -monthlyRate',
        "pfa list --state draft --state committed -o ids",
        "pfa list --category Crane --to cranes.xlsx",
        "pfa list -o csv --columns pfaId,forecastStart,monthlyRate > cranes.csv",
        "pfa list --sort -variance --columns pfaId,planCost,forecastCost,variance",
    ),
    columns=KNOWN_COLUMNS,
    open_ended=True,
)
def list_records(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    paging: Paging,
    *,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="PEMS values, without your changes.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Write a sheet to edit and save again: .xlsx, .csv, .tsv; or .jsonl, .parquet.",
        ),
    ] = None,
) -> None:
    """List merged records: PEMS values with your changes applied.

    json holds one page; jsonl, csv, tsv, xlsx and ids have every matching record; a table shows 50.
    planCost, forecastCost, actualCost and variance are what a record adds to the sums of `pfa stats`: in tables
    rounded to cents, elsewhere to twelve decimals, so that they add up to them. Empty: left out of costs. Sheets
    have no costs.
    """
    if call.view:
        from pfa_cli.framework.views import take_columns

        take_columns(call, KNOWN_COLUMNS, to=to)
    if to is not None:
        from pfa_cli.commands.sheet import write_file

        query = Query(filters, paging.keys, paging.after, baseline)
        if not write_file(call, talk, query, paging, to):
            _explain_nothing(call, talk, filters, paging)
        return
    look = call.look(Format.TSV)
    costs = any(name in COSTS for name in look.columns or _columns(paging.keys, look))
    query = Query(filters, paging.keys, paging.after, baseline, costs=costs)
    if look.format is Format.XLSX:
        from pfa_cli.commands.sheet import write_workbook

        shown = write_workbook(call, talk, query, paging, look)
    elif look.format is Format.JSON:
        shown = _write_envelope(call, talk, query, paging, look)
    elif look.format in (Format.TABLE, Format.MARKDOWN) or paging.by_page:
        shown = _write_page(call, talk, query, paging, look)
    else:
        with ProgressLine(call.common, "record", "reading", shown=not look.terminal) as progress:
            if look.format is Format.JSONL and not look.columns and not look.terminal:
                shown = _export(call, talk, query, paging.limit, progress)
            else:
                records = progress.counted(_stream(call, talk, query, paging.limit))
                shown = show(_sheet(records, query, look), look)
        progress.say_rate(shown)
    if not shown:
        _explain_nothing(call, talk, filters, paging)


@command(
    app,
    "show",
    examples=(
        "pfa show HOLNG-000123",
        "pfa show HOLNG-000123 HOLNG-000124 -o json",
        "pfa show HOLNG-000123 --history",
    ),
    exit_codes="6 when one of the records does not exist.",
    columns=tuple(dict.fromkeys((*DETAIL_COLUMNS, *HISTORY_COLUMNS))),
)
def show_record(
    call: Invocation,
    talk: Talk,
    *,
    ids: Annotated[list[str], typer.Argument(metavar="PFA_ID...", help="The records.")],
    all_fields: Annotated[
        bool, typer.Option("--all-fields", help="Also the fields without any value.")
    ] = False,
    history: Annotated[
        bool,
        typer.Option(
            "--history", help="What PEMS changed and what was committed, in one time line."
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Maximum number of events of a record."),
    ] = None,
) -> None:
    """Show records field by field: PEMS value, your value, merged value.

    A star marks what you changed. With --history the last events of each record, the newest first: what
    runs changed, and commits that you may see.
    """
    if limit and not history:
        raise InvalidRequest("--limit needs --history")
    if all_fields and history:
        raise InvalidRequest("--all-fields and --history cannot be combined")
    if history:
        from pfa_cli.commands.histories import show_histories  # a list need not load it

        show_histories(call, talk, ids, limit)
        return
    from pfa_cli.render.record import detail_rows, detail_text  # a list loads neither

    database, principal = call.open()
    details = core.show_records(database, principal, ids)
    talk.mask(*details)
    learn_ids(call, (detail.pfa_id for detail in details))
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="pfaId",
        columns=DETAIL_COLUMNS,
        items=map(document, details),
        rows=[row for detail in details for row in detail_rows(detail, all_fields=all_fields)],
        envelope=Data(details, metadata(call, talk)),
        text=lambda: "\n\n".join(
            detail_text(item, look, all_fields=all_fields) for item in details
        ),
    )
    show(sheet, look)


def _write_page(call: Invocation, talk: Talk, query: Query, paging: Paging, look: Look) -> int:
    size = min(filter(None, (paging.page_size, paging.limit)), default=TABLE_ROWS)
    if paging.everything or paging.limit == 0 or size > MAX_PAGE:
        limit = None if paging.everything else paging.limit
        return show(_sheet(_stream(call, talk, query, limit), query, look), look)
    page = _page(call, query, paging, size)
    talk.mask(*page.records[:1])
    learn_records(call, page.records)
    shown = show(_sheet(page.records, query, look), look)
    if shown and look.format is Format.TABLE and page.total_records > shown:
        talk.say(_footer(page, shown, paging))
    return shown


def _footer(page: RecordPage, shown: int, paging: Paging) -> str:
    """Say which records a table shows, and how to see the others."""
    total = count(page.total_records, "record")
    if paging.after or not paging.by_page:
        return f"{shown:,} of {total}; --limit 0 shows all, -o csv or -o jsonl streams them"
    first = (page.page - 1) * page.page_size
    following = f"; next: --page {page.page + 1}" if page.next else "; this is the last page"
    return f"{first + 1:,} to {first + shown:,} of {total}{following}"


def _write_envelope(call: Invocation, talk: Talk, query: Query, paging: Paging, look: Look) -> int:
    """Write the JSON envelope around one page, or around a stream of everything."""
    from pfa_cli.envelopes.records import PageAround  # JSON alone has it

    records: Iterable[MergedRecord]
    whole = paging.everything or paging.limit == 0
    # Of a page, or for people; a stream has the database's order.
    ordered = look.indented or not whole
    if whole:
        database, principal = call.open()
        total = core.count_records(database, principal, replace(query, after=None))
        records = _stream(call, talk, query, None)
        pagination = _pagination(1, max(total, 1), total, None)
    else:
        size = min(filter(None, (paging.page_size, paging.limit)), default=JSON_PAGE)
        page = _page(call, query, paging, size)
        records = page.records
        talk.mask(*page.records[:1])
        pagination = _pagination(page.page, page.page_size, page.total_records, page.next)
    write = json_writer(look)
    write('{"data":[')
    shown = 0
    for record in records:
        write(("," if shown else "") + _element(record, look, ordered=ordered))
        shown += 1
    around = PageAround(pagination, metadata(call, talk, filters=query.filters))
    write("]," + dumps(document(around), look)[1:])
    streams.write("\n")
    return shown


def _element(record: MergedRecord, look: Look, *, ordered: bool) -> str:
    if look.columns:
        return dumps(narrowed(row(record, look.columns), look.columns), look)
    return dumps(RawJson(element(record, ordered=ordered)), look)


def _pagination(page: int, size: int, total: int, following: str | None) -> Pagination:
    from pfa_cli.envelopes.records import Pagination

    return Pagination(
        page=page,
        page_size=size,
        total_records=total,
        total_pages=-(-total // size),
        next=following,
    )


def _page(call: Invocation, query: Query, paging: Paging, size: int) -> RecordPage:
    database, principal = call.open()
    return core.list_records(database, principal, query, page=paging.page or 1, page_size=size)


def _stream(
    call: Invocation, talk: Talk, query: Query, limit: int | None
) -> Iterator[MergedRecord]:
    """Stream the records, the first read at once: a refusal precedes any output."""
    database, principal = call.open()
    found = core.stream_records(database, principal, query, limit=limit or None)
    first = list(islice(found, 1))
    talk.mask(*first)
    return chain(first, found)


def _export(
    call: Invocation, talk: Talk, query: Query, limit: int | None, progress: ProgressLine
) -> int:
    """Write lines as the database made them, without choosing or escaping."""
    database, principal = call.open()
    written = 0

    def mark() -> None:
        talk.masked = True

    def write(lines: bytes) -> None:
        nonlocal written
        streams.write_json(lines.decode())
        if update := progress.update:
            from pfa_core.model.progress import Phase, Progress

            written += lines.count(b"\n")
            update(Progress(phase=Phase.READING, done=written))

    return core.export_jsonl(
        database,
        principal,
        query,
        write,
        limit=limit or None,
        masked=mark,
    )


def _columns(sort: tuple[SortKey, ...], look: Look) -> tuple[str, ...]:
    """List the columns that are shown, in a table with the costs of its order."""
    if not look.is_page:
        return TABLE_COLUMNS
    return (*TABLE_COLUMNS, *(key.field for key in sort if key.field in COSTS))


def _sheet(records: Iterable[MergedRecord], query: Query, look: Look) -> Sheet:
    """Make a sheet of a stream, read once: as items by JSONL, else as rows."""
    records = iter(records)
    return Sheet(
        id_column="pfaId",
        columns=_columns(query.sort, look),
        csv_columns=ALL_COLUMNS,
        numbers=NUMBERS,
        ranked=ranked_by(
            query.filters, _ranked(query), query.sort if query.sort != DEFAULT_SORT else ()
        ),
        items=(RawJson(element(record)) for record in records),
        rows=(row(record, look.columns, cents=look.is_page) for record in records),
        envelope=None,  # JSON is written record by record
    )


def _ranked(query: Query) -> tuple[str, ...]:
    return (*RANKED, *(key.field for key in query.sort if key.field in COSTS))


def _explain_nothing(call: Invocation, talk: Talk, filters: Filters, paging: Paging) -> None:
    if talk.quiet:
        return
    database, principal = call.database, call.principal
    if paging.after or (paging.page or 1) > 1:
        total = core.count_records(database, principal, Query(filters))
        if total:
            talk.hint(f"this page is after the last of {count(total, 'record')}")
            return
    hint_nothing_found(call, talk, filters)
