"""JSON of a page of records."""

from __future__ import annotations

from dataclasses import dataclass

from pfa_cli.envelopes.base import Metadata


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
