"""What a write changed: the records for programs, a sentence for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import MASKED, count, money, signed
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.model import shell
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:
    from pfa_core.drafts.save import SaveResult
    from pfa_core.drafts.save_preview import SavePreview
    from pfa_core.model.money import Amount

MOST_IN_TABLE = 20
EXAMPLES = 5  # records of a preview of more than that
MAX_NAMED = 5
_PREVIEWED = ("pfaId", "field", "before", "after")


def show_records(
    records: Iterable[Any],
    look: Look,
    *,
    number: int,
    envelope: object,
    columns: tuple[str, ...],
    all_columns: tuple[str, ...] = (),
    preview: SavePreview | None = None,
) -> None:
    """Write the changed records; as a table only where their number is small.

    A table of a preview has what changes in each, of a few where they are many.
    """
    crowded = look.format is Format.TABLE and number > MOST_IN_TABLE
    if preview and preview.changed and look.format is Format.TABLE:
        rows = _changes(preview)
        sheet = Sheet(
            id_column="pfaId", columns=_PREVIEWED, items=rows, rows=rows, envelope=envelope
        )
        show(sheet, look)
        return
    items = map(document, records)  # one at a time: all of them are larger than the records
    sheet = Sheet(
        id_column="pfaId",
        columns=columns,
        csv_columns=all_columns,
        items=items,
        rows=() if crowded else items,
        envelope=envelope,
    )
    show(sheet, look)


def _changes(preview: SavePreview) -> Iterator[dict[str, Any]]:
    """Yield a row for each field that changes."""
    shown = EXAMPLES if preview.records > MOST_IN_TABLE else MOST_IN_TABLE
    for record in preview.changed[:shown]:
        for change in record.changes:
            hidden = preview.masked and change.field in MONEY
            said = {"before": MASKED, "after": MASKED} if hidden else {}
            yield {"pfaId": record.pfa_id, **document(change), **said}


def saved_text(result: SaveResult) -> str:
    """Describe saved drafts: how many, in which sessions, with which statuses.

    Then how many drafts were removed and how many records have every value already.
    """
    statuses = Counter(str(item.status) for item in result.saved)
    unchanged = len(result.unchanged) + statuses.pop("unchanged", 0)
    changed = statuses.total()
    skipped = f"{len(result.skipped):,} skipped without a value to start from"
    if result.skipped and not (unchanged or changed or result.emptied):
        return f"nothing to save: {skipped}"
    if unchanged and not changed and not result.emptied and not result.skipped:
        return f"nothing to save: no value given differs from the record's ({count(unchanged, 'record')})"
    parts: list[str] = []
    if changed or not result.emptied:
        details = ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items()))
        parts.append(f"{count(changed, 'draft')} saved in {_sessions(result)} ({details})")
    if result.emptied:
        parts.append(
            f"{count(len(result.emptied), 'draft')} removed (nothing left to change): {_named(result.emptied)}"
        )
    if unchanged:
        parts.append(f"{unchanged:,} unchanged")
    if result.skipped:
        parts.append(skipped)
    return ", ".join(parts)


def preview_lines(preview: SavePreview) -> Iterator[str]:
    """Describe what a dry run would change, a line for each field."""
    if preview.records > MOST_IN_TABLE:
        named = len(preview.changed)
        more = "them all" if preview.records == named else f"the first {named}"
        yield f"the first {EXAMPLES} of {preview.records:,} records by id are shown; -o json has {more}"
    names = [each.field for each in preview.fields]
    width = max(map(len, names))
    for each in preview.fields:
        line = f"  {each.field:{width}}  {count(each.records, 'record')}"
        is_money = each.field in MONEY
        yield f"{line}, in all {amount_change(each.before, each.after)}" if is_money else line
    change = amount_change(preview.forecast_before, preview.forecast_after, preview.cost_effect)
    yield f"  forecast cost of {count(preview.records, 'record')}: {change}"


def amount_change(before: Amount, after: Amount, effect: Amount = None) -> str:
    """Format what an amount was, is and differs by.

    Args:
        effect: The exact difference, rounded by itself; None: that of both.
    """
    if before is None or after is None:
        return money(None)
    more = after - before
    rounded = "; each amount is rounded by itself" if effect not in (None, more) else ""
    return (
        f"{money(before)} → {money(after)} ({signed(more if effect is None else effect)}{rounded})"
    )


def _named(ids: Sequence[str]) -> str:
    """Name the first few records."""
    more = len(ids) - MAX_NAMED
    return ", ".join(ids[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def leftovers_text(rows: int, columns: int) -> str:
    """Count a table's empty rows and columns; empty where there are none."""
    counts = ((rows, "empty row"), (columns, "column"))
    parts = [count(number, noun) for number, noun in counts if number]
    return " and ".join(parts) + (" without a name" if columns else "")


def moved_text(moved: Sequence[str]) -> str:
    """Say which rows of a sheet are not what PEMS has any more."""
    return (
        f"PEMS has changed {count(len(moved), 'record')} since the sheet was written: {_named(moved)};"
        " cells that you did not edit change nothing, edited ones may be in conflict at the commit"
    )


def next_diff(result: SaveResult) -> str:
    """Name the command that shows what the saved drafts change."""
    if len(result.sessions) <= 1 and result.session_id:
        return shell.command("pfa diff", [result.session_id])
    return "pfa diff"


def _sessions(result: SaveResult) -> str:
    if len(result.sessions) <= 1:
        return f"session {result.session_id}"
    each = (f"{name} ({number:,})" for name, number in result.sessions.items())
    return f"their sessions: {', '.join(each)}"
