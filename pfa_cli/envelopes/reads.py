"""JSON of reads with more than data and metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pfa_cli.envelopes.base import Metadata

if TYPE_CHECKING:
    from pfa_core.drafts.diff import DiffEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination:
    """The page of a list; `next` is the cursor of the following one."""

    page: int
    page_size: int
    total_records: int
    total_pages: int
    next: str | None


@dataclass(frozen=True, slots=True)
class PageAround:
    """What surrounds the data of `pfa list`, which is written record by record."""

    pagination: Pagination
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Statistics:
    """`pfa stats`; data and groups keep the names of the measures in snake case."""

    data: dict[str, Any]
    groups: list[dict[str, Any]]
    metadata: Metadata


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


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding of one check; `exit_code` is 0 unless it is a problem."""

    check: str
    result: Literal["ok", "notice", "problem", "skipped"]
    finding: str
    _: KW_ONLY
    cure: str = ""
    exit_code: int = 0
