"""JSON of KPIs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pfa_cli.envelopes.base import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """`pfa stats`; all but the metadata keeps the names of the measures in snake case."""

    data: dict[str, Any]
    groups: list[dict[str, Any]]
    subtotals: list[dict[str, Any]]
    others: list[dict[str, Any]]
    metadata: Metadata
