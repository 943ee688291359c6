"""Results as JSON values: field names in camel case, instants in RFC 3339."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from pfa_cli.envelopes.base import ABSENT
from pfa_cli.render.names import key
from pfa_cli.render.plain import instant

_IN_METADATA = "masked"  # a flag of results; the envelope's metadata says it once
# Most values are one of these, and what else they could be is asked for a microsecond long.
_SINGLE = frozenset((str, int, bool, float, Decimal, type(None)))


def document(value: Any, *, snake_case: bool = False) -> Any:
    """Convert a result to JSON values; keys of mappings stay.

    Args:
        snake_case: Keep the field names as Python spells them, for the KPIs.
    """
    if type(value) in _SINGLE:
        return value
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
    for name, camel_case, may_be_absent in _members_of(type(value)):
        inner = getattr(value, name)
        if inner is not None or not may_be_absent:
            yield (name if snake_case else camel_case), inner


@cache  # an answer has thousands of a class
def _members_of(kind: type) -> tuple[tuple[str, str, bool], ...]:
    """List a class's members.

    Each by its name in Python, its name in JSON, and whether None leaves it out.
    """
    return tuple(
        (item.name, key(item.name), ABSENT in item.metadata)
        for item in fields(kind)
        if ABSENT in item.metadata or item.name != _IN_METADATA
    )


def _object(value: Any, *, snake_case: bool) -> dict[str, Any]:
    found = members(value, snake_case=snake_case)
    return {name: document(inner, snake_case=snake_case) for name, inner in found}
