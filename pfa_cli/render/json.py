"""Results as JSON values: field names in camel case, instants in RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from pfa_cli.render.escape import instant

if TYPE_CHECKING:
    pass


_ELSEWHERE = ("masked",)  # said once, in the metadata
_NAMES = {"organization_id": "organization"}


def document(value: Any, *, snake_case: bool = False) -> Any:
    """A result as JSON: dataclasses as objects, keys of mappings as they are.

    Args:
        snake_case: Keep the field names as Python spells them, for the KPIs.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name if snake_case else key(item.name): document(
                getattr(value, item.name), snake_case=snake_case
            )
            for item in fields(value)
            if item.name not in _ELSEWHERE
        }
    if isinstance(value, Mapping):
        return {name: document(inner, snake_case=snake_case) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [document(inner, snake_case=snake_case) for inner in value]
    if isinstance(value, datetime):
        return instant(value)
    return value.value if isinstance(value, Enum) else value


def key(name: str) -> str:
    """`modification_id` as `modificationId`."""
    first, *rest = _NAMES.get(name, name).split("_")
    return first + "".join(word.capitalize() for word in rest)


def camel_case(name: str) -> str:
    """`area-silo` as the field `areaSilo`; other spellings stay."""
    if name.startswith("data."):
        return name
    first, *rest = name.split("-") if not name.startswith("-") else [name]
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
