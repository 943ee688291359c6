"""The changes of a record in a line."""

from __future__ import annotations

from pfa_core.drafts.review import ReviewedRecord
from pfa_core.files.sheets.text_writer import cell_text
from pfa_core.model.record import FIELDS, Kind


def change_text(one: ReviewedRecord) -> str:
    """Describe the changes of a record in a line.

    Dates that moved by the same number of days stand together.
    """
    dates = {name for name, field in FIELDS.items() if field.kind is Kind.DATE}
    moved = [change.field for change in one.changes if change.field in dates]
    parts: list[str] = []
    if one.shifted is not None:
        parts.append(f"{', '.join(moved)} {one.shifted:+d} d")
    parts += [
        f"{change.field} {_value(change.before)} → {_value(change.after)}"
        for change in one.changes
        if one.shifted is None or change.field not in dates
    ]
    return "; ".join(parts)


def _value(value: object) -> str:
    return cell_text(value) or "(none)"
