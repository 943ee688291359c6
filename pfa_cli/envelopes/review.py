"""JSON of reviews of drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import Metadata

if TYPE_CHECKING:
    from pfa_cli.envelopes.diff import DiffSummary
    from pfa_core.drafts.compare import ComparedField
    from pfa_core.drafts.review import ReviewedRecord, ReviewGroup


@dataclass(frozen=True, slots=True)
class ReviewedGroups:
    """`pfa diff --by` and `--stat`."""

    data: list[ReviewGroup]
    summary: DiffSummary
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class ReviewedRecords:
    """`pfa diff --per record` and `--top`: the sums are known after the last record."""

    data: Iterable[ReviewedRecord]
    summary: Callable[[], DiffSummary]
    metadata: Callable[[], Metadata]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSummary:
    """Sums of a comparison of two sessions.

    `same_fields` are fields that both change to the same value.
    """

    records: int
    fields: int
    same_fields: int
    first_effect: Decimal | None
    second_effect: Decimal | None


@dataclass(frozen=True, slots=True)
class ComparedSessions:
    """`pfa diff A B`: the sums are known after the last field."""

    data: Iterable[ComparedField]
    summary: Callable[[], ComparisonSummary]
    metadata: Callable[[], Metadata]
