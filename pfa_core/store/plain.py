"""Rows as plain mappings for jsonb_to_recordset."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def plain(row: Any) -> dict[str, Any]:
    """What `dataclasses.asdict` does, without its deep copies of every value."""
    return {name: getattr(row, name) for name in _names(type(row))}
