"""Changes of a schema since it was published: none, an addition, a break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pfa_cli.schemas import line_of
from pfa_cli.schemas.keys import Key, keys_of, type_of

Schema = Mapping[str, Any]
_ANY = type_of({}, {})
SAME, ADDED, BROKEN = "same", "added", "broken"


def change_of(old: Schema, new: Schema) -> str:
    """What became of a schema and of its lines, the worst of it.

    Of what the program reads (no commands write it) a key must not become required, of what it writes not
    optional.
    """
    is_input = not old["x-commands"] and old["title"] != "error"
    found = [_change(_keys(one), _keys(other), is_input) for one, other in _parts(old, new)]
    return next(kind for kind in (BROKEN, ADDED, SAME) if kind in found)


def version_fits(old: Schema, new: Schema) -> bool:
    """Whether the version says what changed: a break raises the first number, an addition the second."""
    change, (major, minor), (first, second) = change_of(old, new), _version(old), _version(new)
    if change == BROKEN:
        return first > major
    if change == ADDED:
        return (first, second) > (major, minor)
    return (first, second) == (major, minor)


def _version(schema: Schema) -> tuple[int, int]:
    major, minor = schema["x-version"].split(".")
    return int(major), int(minor)


def _parts(old: Schema, new: Schema) -> list[tuple[Schema | None, Schema | None]]:
    return [(old, new), (line_of({**old}), line_of({**new}))]


def _keys(schema: Schema | None) -> dict[str, Key]:
    return {} if schema is None else {key.key: key for key in keys_of(schema)}


def _change(old: dict[str, Key], new: dict[str, Key], is_input: bool) -> str:
    kinds = [_of_key(key, new.get(name), is_input) for name, key in old.items()]
    for name in new.keys() - old.keys():
        required = is_input and new[name].presence == "always"
        kinds.append(BROKEN if required else ADDED)
    return next((kind for kind in (BROKEN, ADDED) if kind in kinds), SAME)


def _of_key(old: Key, new: Key | None, is_input: bool) -> str:
    if new is None or new.unit != old.unit:
        return BROKEN
    kinds = [SAME]
    if new.type != old.type:
        wider = set(old.type.split(" or ")) < set(new.type.split(" or "))
        # An object of any values that now describes some of them holds what it held.
        described = old.type == "object" and new.type == f"object of object or {_ANY}"
        kinds.append(ADDED if wider or described else BROKEN)
    if new.presence != old.presence:
        kinds.append(ADDED if (new.presence == "where known") == is_input else BROKEN)
    return next(kind for kind in (BROKEN, ADDED, SAME) if kind in kinds)
