"""JSON of saved views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pfa_cli.envelopes.base import absent


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewShown:
    """A saved view.

    `problem`: why this version of pfa cannot use it. `status`: what a save made of it.
    """

    name: str
    shared: bool
    hides_shared: bool
    filters: Mapping[str, Any]
    columns: Sequence[str]
    sort: str | None
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime
    problem: str | None = absent()
    status: str | None = absent()
