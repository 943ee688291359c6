"""Results as JSON values: field names in camel case, instants in RFC 3339."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from pfa_cli.envelopes.base import ABSENT
from pfa_cli.render.names import key
from pfa_cli.render.plain import instant

_IN_METADATA = "masked"  # a flag of results; the envelope's metadata says it once


def document(value: Any, *, snake_case: bool = False) -> Any:
    """Convert a result to JSON values; keys of mappings stay.

    Args:
        snake_case: Keep the field names as Python spells them, for the KPIs.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _object(value, snake_case=snake_case)
    if isinstance(value, Mapping):
        return {name: document(inner, snake_case=snake_case) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [document(inner, snake_case=snake_case) for inner in value]
    if isinstance(value, datetime):
        return instant(value)
    return value.value if isinstance(value, Enum) else value


def members(value: Any, *, snake_case: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the names in the JSON of a result, with the values before conversion."""
    for item in fields(value):
        inner = getattr(value, item.name)
        left_out = inner is None if ABSENT in item.metadata else item.name == _IN_METADATA
        if not left_out:
            yield (item.name if snake_case else key(item.name)), inner


def _object(value: Any, *, snake_case: bool) -> dict[str, Any]:
    found = members(value, snake_case=snake_case)
    return {name: document(inner, snake_case=snake_case) for name, inner in found}
