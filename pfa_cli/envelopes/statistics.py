"""JSON of KPIs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pfa_cli.envelopes.base import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """`pfa stats`; all but the metadata keeps the names of the measures in snake case.

    Groups are written one by one: there may be one for every third record.
    """

    data: dict[str, Any]
    groups: Iterable[dict[str, Any]]
    subtotals: Iterable[dict[str, Any]]
    others: Iterable[dict[str, Any]]
    metadata: Metadata
