"""Comparison of JSON with the published schemas.

A validator of the part of JSON Schema that they use: `unsupported` says of a schema what it lacks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pfa_cli.schemas import line_of, names, read_schema

ANNOTATIONS = {"$schema", "$id", "title", "description", "x-version", "x-commands", "x-unit"}
KEYWORDS = {"$ref", "$defs", "additionalProperties", "anyOf", "const", "enum", "format", "items",
            "maxLength", "minItems", "minLength", "minimum", "maximum", "pattern", "properties", "propertyNames",
            "required", "type"}  # fmt: skip
FORMATS = {
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
}
TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float, Decimal),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def faults(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str = ""
) -> list[str]:
    """Each way in which a value is not as its schema says, with its place."""
    return list(_faults(value, schema, root, at or "$"))


def _faults(value: Any, schema: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        yield from _faults(value, target, root, at)
    if "anyOf" in schema:
        variants = [faults(value, each, root, at) for each in schema["anyOf"]]
        if all(variants):
            yield from min(variants, key=len)
    kind = schema.get("type")
    if kind is not None and not _is(value, kind):
        yield f"{at}: {value!r} is not of type {kind}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    yield from _of_text(value, schema, at)
    yield from _of_number(value, schema, at)
    if isinstance(value, dict):
        yield from _of_object(value, schema, root, at)
    if isinstance(value, list):
        yield from _of_list(value, schema, root, at)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind])


def _of_text(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if not isinstance(value, str):
        return
    if "format" in schema and not FORMATS[schema["format"]].fullmatch(value):
        yield f"{at}: {value!r} is not a {schema['format']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{at}: {value!r} has {len(value)} characters"


def _of_number(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: {value} is out of bounds"


def _of_list(value: Any, schema: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: {len(value)} are too few"
    for number, item in enumerate(value):
        yield from _faults(item, schema.get("items", {}), root, f"{at}[{number}]")


def _of_object(value: Any, schema: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name} is missing"
    for name, inner in value.items():
        yield from _faults(name, schema.get("propertyNames", {}), root, f"{at}.{name}")
        if name in known:
            yield from _faults(inner, known[name], root, f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}.{name} is not documented"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from _faults(inner, schema["additionalProperties"], root, f"{at}.{name}")


def unsupported(schema: Any) -> set[str]:
    """The keywords of a schema that the validator would pass over."""
    if isinstance(schema, list):
        return {word for each in schema for word in unsupported(each)}
    if not isinstance(schema, dict):
        return set()
    found = set(schema) - KEYWORDS - ANNOTATIONS
    for word, inner in schema.items():
        if word in ("properties", "$defs"):
            found |= {each for below in inner.values() for each in unsupported(below)}
        elif word in ("items", "anyOf", "additionalProperties", "propertyNames"):
            found |= unsupported(inner)
        elif word == "format" and inner not in FORMATS:
            found.add(f"format {inner}")
    return found


COMMANDS = {
    tuple(command.split()): [name for name in names() if command in read_schema(name)["x-commands"]]
    for command in (each for name in names() for each in read_schema(name)["x-commands"])
}
_FIRST = {words[0] for words in COMMANDS}


def command_of(words: Sequence[str]) -> tuple[str, ...]:
    """The command that a command line names, as the schemas spell it; () for one without."""
    for number, word in enumerate(words):
        if word in _FIRST:
            tails = (tuple(words[number : number + length]) for length in (3, 2, 1))
            return next((tail for tail in tails if tail in COMMANDS), ())
    return ()


def format_of(words: Sequence[str]) -> str:
    """The format that a command line asks for; '' without."""
    found = ""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in ("-o", "--output"):
            found = following
        elif word.startswith("--output="):
            found = word.partition("=")[2]
        elif word.startswith("-o") and len(word) > 2:
            found = word[2:]
    return found


def check(words: Sequence[str], out: str, err: str) -> None:
    """Check what a command line wrote by the schemas of its command.

    With --columns the caller chooses the keys of each element; those are not looked at.
    """
    for line in err.splitlines():
        if line.startswith('{"error":'):
            require("error", json.loads(line))
    shapes, style = COMMANDS.get(command_of(words), []), format_of(words)
    if style not in ("json", "jsonl") or not out or "--help" in words:
        return
    if command_of(words) == ("schema",) and any(name in words for name in names()):
        return
    chosen = any(word.startswith("--columns") for word in words)
    assert shapes, f"pfa {' '.join(words)} writes JSON without a published schema"
    if style == "json":
        value = json.loads(out, parse_float=Decimal)
        if chosen and isinstance(value.get("data"), list):
            value["data"] = []
        _require_one_of([read_schema(name) for name in shapes], value)
    elif not chosen:
        lines = [made for name in shapes if (made := line_of(read_schema(name)))]
        for text in out.rstrip("\n").split("\n"):  # a text may have other line ends
            _require_one_of(lines, json.loads(text, parse_float=Decimal))


def require(name: str, value: Any) -> None:
    """Fail unless the value is as a schema says."""
    _require_one_of([read_schema(name)], value)


def _require_one_of(schemas: Sequence[Mapping[str, Any]], value: Any) -> None:
    found = [faults(value, schema, schema) for schema in schemas]
    assert not all(found), f"not as {schemas[0]['$id']} says: {min(found, key=len)[:5]}"
