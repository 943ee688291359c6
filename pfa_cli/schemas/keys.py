"""Keys of a JSON Schema as lines: path, type, unit, presence, meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

Json = Mapping[str, Any]
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_FORMATS = {"date-time": "instant", "date": "date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key; `presence` is "always" or "where known"."""

    key: str
    type: str
    unit: str
    presence: str
    means: str


def keys_of(schema: Json) -> list[Key]:
    """List the keys of a schema as paths.

    Inner ones are below the key that has them, as `data[].pfaId`.
    """
    found: dict[str, Key] = {}
    for key in _keys(schema, "", schema.get("$defs", {})):
        known = found.setdefault(key.key, key)
        if known.presence != key.presence:
            found[key.key] = replace(known, presence="where known")
    return list(found.values())


def _keys(schema: Json, path: str, definitions: Json) -> Iterator[Key]:
    schema = _resolved(schema, definitions)
    for variant in schema.get("anyOf", ()):
        yield from _keys(variant, path, definitions)
    if "items" in schema:
        yield from _keys(schema["items"], f"{path}[]", definitions)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _keys(schema["additionalProperties"], f"{path}.*", definitions)
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield Key(
            key=here,
            type=type_of(inner, definitions),
            unit=inner.get("x-unit", ""),
            presence="always" if name in schema.get("required", ()) else "where known",
            means=inner.get("description", ""),
        )
        yield from _keys(inner, here, definitions)


def type_of(schema: Json, definitions: Json) -> str:
    """Describe the type of a schema in words."""
    schema = _resolved(schema, definitions)
    if "anyOf" in schema:
        kinds = (type_of(variant, definitions) for variant in schema["anyOf"])
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " or ".join(str(value) or "empty" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}), definitions)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'], definitions)}"
    if kind is None:
        return "any value"
    return _FORMATS.get(schema.get("format", ""), _WORDS[kind])


def _resolved(schema: Json, definitions: Json) -> Json:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target = definitions[reference.removeprefix("#/$defs/")]
    return {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
