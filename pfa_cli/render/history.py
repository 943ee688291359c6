"""What changed in PEMS, the history of a record and its blame as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pfa_cli.render.humanize import MASKED, count, signed
from pfa_cli.render.json import document
from pfa_cli.render.plain import plain
from pfa_core.model.audit import Direction
from pfa_core.model.record_history import Origin
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:
    from pfa_core.model.changes import ChangeTotals, RecordChange
    from pfa_core.model.delta import FieldChange
    from pfa_core.model.money import Amount
    from pfa_core.model.record_history import FieldBlame, HistoryEntry, RecordBlame, RecordHistory

Row = Mapping[str, Any]
PEMS = "PEMS"


def change_rows(item: RecordChange, *, for_people: bool) -> list[Row]:
    """Make a row of each field that changed, the effect in the first.

    A record without any has one row.
    """
    same = {
        "pfaId": item.pfa_id,
        "change": str(item.change),
        "changedAt": item.changed_at,
        "version": item.version,
        "runId": item.run_id,
        "direction": item.direction and str(item.direction),
        "runBy": item.run_by,
    }
    effect = _effect(item.cost_effect, for_people=for_people)
    if not item.changes:
        return [{**same, "costEffect": effect}]
    return [
        {**same, **document(change), "costEffect": None if index else effect}
        for index, change in enumerate(item.changes)
    ]


def event_row(item: RecordChange, *, for_people: bool) -> Row:
    """Make one row of a change, its fields in one text."""
    return {
        "at": item.changed_at,
        "pfaId": item.pfa_id,
        "event": str(item.change),
        "change": fields_text(item.changes, masked=item.masked),
        "costEffect": _effect(item.cost_effect, for_people=for_people),
        # A push also brings what it found changed in PEMS: its user is not the author of that.
        "by": f"push of {item.run_by}" if item.direction is Direction.PUSH else PEMS,
        "direction": item.direction and str(item.direction),
        "userId": item.run_by,
        "runId": item.run_id,
        "version": item.version,
    }


def history_rows(histories: Iterable[RecordHistory], *, for_people: bool) -> Iterator[Row]:
    """Make a row of each event of records."""
    for history in histories:
        for entry in history.entries:
            yield {
                **document(entry),
                "pfaId": history.pfa_id,
                "from": str(entry.origin),
                "by": _by(entry),
                "change": fields_text(entry.changes, masked=entry.masked),
                "costEffect": _effect(entry.cost_effect, for_people=for_people),
            }


def blame_rows(blame: RecordBlame) -> Iterator[Row]:
    """Make a row of each field."""
    for item in blame.fields:
        hidden = blame.masked and item.field in MONEY
        shown = {"value": MASKED, "before": MASKED} if hidden else {}
        yield {
            "pfaId": blame.pfa_id,
            **document(item),
            "from": str(item.origin),
            "by": _by(item),
            **shown,
        }


def run_change_row(item: RecordChange) -> Row:
    """Make a row of a change beside those of the outcomes of a run."""
    return {
        "pfaId": item.pfa_id,
        "outcome": str(item.change),
        "message": fields_text(item.changes, masked=item.masked),
        "at": item.changed_at,
    }


def fields_text(changes: Sequence[FieldChange], *, masked: bool) -> str:
    """Format the fields that differ before and after, in one line."""
    return ", ".join(
        f"{item.field} {MASKED}"
        if masked and item.before is None and item.after is None
        else f"{item.field}: {plain(item.before) or 'none'} → {plain(item.after) or 'none'}"
        for item in changes
    )


def totals_text(totals: ChangeTotals) -> str:
    """Summarize changes: how many of each kind, and their effect."""
    parts = [
        f"{number:,} {kind}"
        for kind, number in (
            ("changed", totals.changed),
            ("new", totals.new),
            ("missing", totals.missing),
        )
        if number
    ]
    kinds = f" ({', '.join(parts)})" if parts else ""
    effect = signed(totals.cost_effect)
    return f"{count(totals.record_count, 'record')}{kinds}, forecast cost {effect}"


def _by(item: HistoryEntry | FieldBlame) -> str | None:
    """Name who changed it; of what a run found changed, PEMS is all that is known."""
    return PEMS if item.origin is Origin.PEMS else item.user_id


def _effect(amount: Amount, *, for_people: bool) -> Any:
    return signed(amount) if for_people and amount is not None else amount
