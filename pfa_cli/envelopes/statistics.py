"""JSON of KPIs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pfa_cli.envelopes.base import Metadata


@dataclass(frozen=True, slots=True)
class Statistics:
    """`pfa stats`; data and groups keep the names of the measures in snake case."""

    data: dict[str, Any]
    groups: list[dict[str, Any]]
    metadata: Metadata
