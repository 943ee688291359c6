"""JSON of a diff."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import Metadata

if TYPE_CHECKING:
    from pfa_core.drafts.diff import DiffEntry


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """Sums of a diff."""

    records: int
    fields: int
    cost_effect: Decimal | None


@dataclass(frozen=True, slots=True)
class Diff:
    """`pfa diff`, written entry by entry: the sums are known after the last."""

    data: Iterable[DiffEntry]
    summary: Callable[[], DiffSummary]
    metadata: Callable[[], Metadata]
