"""Names of fields as Python, JSON and the command line spell them."""

from __future__ import annotations

_NAMES = {"organization_id": "organization"}


def key(name: str) -> str:
    """Convert `modification_id` to `modificationId`."""
    first, *rest = _NAMES.get(name, name).split("_")
    return first + "".join(word.capitalize() for word in rest)


def camel_case(name: str) -> str:
    """Convert `area-silo` to the field `areaSilo`; other spellings stay."""
    if name.startswith("data."):
        return name
    first, *rest = name.split("-") if not name.startswith("-") else [name]
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
