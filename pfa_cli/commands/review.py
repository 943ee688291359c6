"""Views of `pfa diff` beside its entries: groups, records, two sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import pfa_core as core
from pfa_cli.envelopes.diff import DiffSummary
from pfa_cli.envelopes.review import (
    ComparedSessions,
    ComparisonSummary,
    ReviewedGroups,
    ReviewedRecords,
)
from pfa_cli.framework.filters import ranked_by
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import count, signed, sums_text
from pfa_cli.render.json import document
from pfa_cli.render.names import camel_case
from pfa_cli.render.output import Sheet, show
from pfa_core.drafts.change_text import change_text
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.drafts.compare import ComparedField
    from pfa_core.drafts.review import Review, ReviewedRecord

RECORD_COLUMNS = ("pfaId", "change", "costEffect", "sessions", "states", "reasons")
GROUP_COLUMNS = ("records", "fields", "costEffect")
COMPARED_COLUMNS = ("pfaId", "field", "pems", "first", "second", "changedIn")
_SIDE = 20  # cells of one side of a bar


def show_groups(
    call: Invocation,
    talk: Talk,
    filters: Filters,
    named: Sequence[str],
    by: str,
    *,
    chart: bool,
) -> int:
    """Show sums of drafts by group, and return the number of fields that differ."""
    name = camel_case(by.strip())
    columns = (name, *(one for one in GROUP_COLUMNS if one != "costEffect" or name != "field"))
    call.require_columns(columns)
    look = call.look(Format.TABLE if chart else Format.TSV)
    if chart and (name == "field" or not look.is_page):
        raise InvalidRequest(
            "--chart draws the cost effect of groups for people",
            hint="give --by, of anything but field, and no -o",
        )
    database, principal = call.open()
    found = core.review(
        database, principal, filters, by=name, session_id=named[0] if named else None
    )
    talk.mask(found)
    rows = [_group(found, name, group, for_people=look.is_page) for group in found.groups]
    sheet = Sheet(
        id_column=name,
        columns=columns,
        numbers=frozenset(("costEffect",)),
        ranked=columns,
        items=[document(group) for group in found.groups],
        rows=rows,
        envelope=ReviewedGroups(
            found.groups,
            DiffSummary(found.record_count, found.field_count, found.cost_effect),
            metadata(call, talk, filters=filters),
        ),
        text=(lambda: _chart(found, rows, name, look)) if chart else None,
    )
    show(sheet, look)
    talk.say(sums_text(found.record_count, found.field_count, found.cost_effect))
    return found.field_count


def show_records(
    call: Invocation,
    talk: Talk,
    filters: Filters,
    named: Sequence[str],
    *,
    top: int | None,
    limit: int | None,
    names_only: bool,
) -> int:
    """Show one line for each record, and return the number of fields that differ."""
    call.require_columns(RECORD_COLUMNS)
    if top is not None and limit is not None:
        top, limit = min(top, limit), None
    database, principal = call.open()
    totals = core.DiffTotals()
    found = core.stream_review(
        database,
        principal,
        filters,
        session_id=named[0] if named else None,
        top=top,
        totals=totals,
    )
    first, records = _begun(islice(found, limit))
    talk.mask(totals)
    look = call.look(Format.IDS if names_only else Format.TSV)
    if names_only and look.format in (Format.JSON, Format.JSONL):
        raise InvalidRequest(
            f"--name-only is of ids, not of {look.format}", hint="leave out one of them"
        )
    items, rows = _twice(records, look)
    sheet = Sheet(
        id_column="pfaId",
        columns=("pfaId",) if names_only else RECORD_COLUMNS,
        csv_columns=("pfaId",) if names_only else RECORD_COLUMNS,
        numbers=frozenset(("costEffect",)),
        ranked=ranked_by(filters, RECORD_COLUMNS),
        is_summed=True,
        items=items,
        rows=rows,
        envelope=ReviewedRecords(
            records,
            lambda: DiffSummary(totals.record_count, totals.field_count, totals.cost_effect),
            lambda: metadata(call, talk, filters=filters),
        ),
    )
    show(sheet, look)
    if not first:
        talk.say("no differences to PEMS")
    elif top is not None and totals.record_count > top:
        largest = f"the {count(top, 'record')} with the largest effect; in all: "
        talk.say(largest + sums_text(totals.record_count, totals.field_count, totals.cost_effect))
    else:
        talk.say(sums_text(totals.record_count, totals.field_count, totals.cost_effect))
    return totals.field_count


def show_sessions(
    call: Invocation, talk: Talk, filters: Filters, sessions: tuple[str, str], *, limit: int | None
) -> int:
    """Show the fields that two sessions change differently, and return their number."""
    call.require_columns(COMPARED_COLUMNS)
    database, principal = call.open()
    totals = core.Comparison()
    found = core.compare_sessions(database, principal, sessions, filters, totals=totals)
    first, fields = _begun(_shown(found, limit))
    talk.mask(totals)
    look = call.look(Format.TSV)
    sheet = Sheet(
        id_column="pfaId",
        columns=COMPARED_COLUMNS,
        ranked=("pfaId", "field", "first", "second", "changedIn", "pems"),
        is_summed=True,
        items=map(document, fields),
        rows=map(_field, fields),
        envelope=ComparedSessions(
            fields,
            lambda: ComparisonSummary(
                records=totals.record_count,
                fields=totals.field_count,
                same_fields=totals.same_count,
                first_effect=totals.first_effect,
                second_effect=totals.second_effect,
            ),
            lambda: metadata(call, talk, filters=filters),
        ),
    )
    show(sheet, look)
    one, two = sessions
    if not first:
        talk.say(f"{one} and {two} change nothing differently")
    talk.say(
        f"first {one}: cost effect {signed(totals.first_effect)};"
        f" second {two}: {signed(totals.second_effect)};"
        f" {count(totals.field_count, 'field')} of {count(totals.record_count, 'record')} differ,"
        f" {totals.same_count:,} same"
    )
    return totals.field_count


def _shown(found: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """Yield the first of them, and read on to the last: the sums are those of all."""
    for number, item in enumerate(found):
        if limit is None or number < limit:
            yield item


def _begun(found: Iterable[Any]) -> tuple[list[Any], Iterator[Any]]:
    """Read the first item: a refusal precedes any output."""
    rest = iter(found)
    first = list(islice(rest, 1))
    return first, chain(first, rest)


def _twice(
    records: Iterator[ReviewedRecord], look: Look
) -> tuple[Iterator[Any], Iterator[dict[str, Any]]]:
    """Return the records as JSON and as rows; one of them is read."""
    return map(document, records), (_record(one, for_people=look.is_page) for one in records)


def _group(found: Review, name: str, group: Any, *, for_people: bool) -> dict[str, Any]:
    effect = group.cost_effect
    key = group.key if group.key is not None else ("(none)" if for_people else "")
    shown = signed(effect) if for_people and (effect is not None or found.masked) else effect
    return {name: key, "records": group.records, "fields": group.fields, "costEffect": shown}


def _record(one: ReviewedRecord, *, for_people: bool) -> dict[str, Any]:
    effect = one.cost_effect
    return {
        "pfaId": one.pfa_id,
        "change": change_text(one),
        "costEffect": signed(effect) if for_people and effect is not None else effect,
        "sessions": ", ".join(one.sessions),
        "states": ", ".join(map(str, one.states)),
        "reasons": "; ".join(one.reasons),
    }


def _field(one: ComparedField) -> dict[str, Any]:
    return {
        "pfaId": one.pfa_id,
        "field": one.field,
        "pems": one.pems,
        "first": one.first,
        "second": one.second,
        "changedIn": str(one.changed_in),
    }


def _chart(found: Review, rows: Sequence[dict[str, Any]], name: str, look: Look) -> str:
    """Draw the effect of each group beside an axis."""
    from pfa_cli.render.bars import balance
    from pfa_cli.render.cells import padded, width
    from pfa_cli.render.escape import visible

    effects = [group.cost_effect or Decimal(0) for group in found.groups]
    most = max(map(abs, effects), default=Decimal(0))
    labels = [visible(str(row[name])) for row in rows]
    texts = [signed(group.cost_effect) for group in found.groups]
    wide, digits = max(map(width, labels), default=0), max(map(len, texts), default=0)
    side = min(_SIDE, max(4, ((look.width or 80) - wide - digits - 6) // 2))
    plain = look.terminal and look.unicode
    return "\n".join(
        f"{padded(label, wide)}  {text:>{digits}}  {balance(effect, most, side, unicode=plain)}".rstrip()
        for label, text, effect in zip(labels, texts, effects, strict=True)
    )
