"""JSON of what changed in PEMS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import Metadata

if TYPE_CHECKING:
    from pfa_core.model.changes import RecordChange


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSummary:
    """How many records changed in PEMS, by kind, and the effect of all."""

    records: int
    new: int
    changed: int
    missing: int
    cost_effect: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorPagination:
    """The size of a page; `next` is the cursor of the following one."""

    page_size: int
    total_records: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """`pfa changes`, written record by record: the sums may be known after the last."""

    data: Iterable[RecordChange]
    summary: Callable[[], ChangeSummary]
    pagination: Callable[[], CursorPagination]
    metadata: Callable[[], Metadata]
