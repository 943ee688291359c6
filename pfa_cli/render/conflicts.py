"""Conflicts as rows and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import ago
from pfa_cli.render.json import document
from pfa_cli.render.plain import plain

if TYPE_CHECKING:
    from pfa_core.conflicts.views import ConflictView, FieldConflict

_TABLE = ("pfaId", "field", "base", "mine", "pems", "pemsNow", "sessionId", "age")
_PAGE = ("field", "base", "pems", "pemsNow", "mine", "merged")
_LINES = (*_TABLE[:-1], "createdAt")
_RESOLUTION = ("taken", "value", "resolvedBy", "resolvedAt")
EVERYTHING = (
    "conflictId",
    *_LINES,
    "status",
    "resolution",
    *_RESOLUTION,
    "modifiedBy",
    "changeReason",
    "modificationId",
)


def conflict_columns(found: Sequence[ConflictView], look: Look) -> tuple[str, ...]:
    """Choose the columns, without those that would be empty."""
    columns = _TABLE if look.format in (Format.TABLE, Format.MARKDOWN) else _LINES
    if not any(item.pems_now for item in found):
        columns = tuple(name for name in columns if name != "pemsNow")
    return (*columns, *_RESOLUTION) if any(item.resolution for item in found) else columns


def conflict_rows(item: ConflictView) -> list[dict[str, Any]]:
    """Make a row for each field in conflict."""
    about = document(item)
    settlement = item.settlement or {}
    return [
        {
            **about,
            **document(field),
            "pemsNow": _pems_now(item, field.field),
            "taken": settlement.get(field.field, {}).get("take"),
            "value": settlement.get(field.field, {}).get("value"),
            "merged": _merged(item, field),
            "age": ago(item.created_at),
        }
        for field in item.fields
    ]


def conflict_page(item: ConflictView, look: Look) -> str:
    """Format one conflict as a page: who changed what, and the values."""
    from pfa_cli.render.tables import card, grid, prose

    columns = [name for name in _PAGE if name != "pemsNow" or item.pems_now]
    columns += [name for name in _RESOLUTION if item.resolution]
    cells = [[row.get(name) for name in columns] for row in conflict_rows(item)]
    pairs = [
        ("conflict", item.conflict_id),
        ("found", ago(item.created_at)),
        ("changed by", item.modified_by),
        ("session", item.session_id),
        ("reason", item.change_reason),
        ("resolved", item.resolution and f"{item.resolution}, by {item.resolved_by}"),
    ]
    present = [(name, value) for name, value in pairs if value]
    table = grid(columns, cells, look, may_drop=False)
    parts = [card(f"{visible(item.pfa_id)}: {item.status}", present, look), table]
    if item.pems_now:
        values = ", ".join(f"{name} {plain(value)}" for name, value in item.pems_now.items())
        parts.append(prose([visible(f"PEMS changed again since: {values}")], look))
    return "\n\n".join(parts)


def _merged(item: ConflictView, field: FieldConflict) -> Any:
    """Return the value that a list shows: yours, or the one that was taken."""
    if item.settlement is None:
        return field.mine
    return item.settlement.get(field.field, {}).get("value")


def _pems_now(item: ConflictView, field: str) -> Any:
    """Return PEMS's current value as a cell; None while it is still the recorded one."""
    if field not in item.pems_now:
        return None
    now = item.pems_now[field]
    return "null" if now is None else now
