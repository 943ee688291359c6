"""Numbers, money and times for people, as the library's reports write them."""

from __future__ import annotations

from decimal import Decimal

from pfa_core.model.humanize import MASKED, ago, count, money, records_behind, signed, size, span

__all__ = [
    "MASKED",
    "ago",
    "count",
    "money",
    "records_behind",
    "signed",
    "size",
    "span",
    "sums_text",
]


def sums_text(records: int, fields: int, effect: Decimal | None) -> str:
    """Describe the sums of a diff."""
    return f"{count(records, 'record')}, {count(fields, 'field')}, cost effect {signed(effect)}"
