"""Published JSON Schemas of what the program writes and reads.

The `*.json` beside this module are made by docs/generate_schemas.py from the types; reading them needs no
pydantic.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def names() -> tuple[str, ...]:
    """List the names of the published shapes, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name[:-5] for file in files if file.name.endswith(".json")))


@cache
def read_schema(name: str) -> dict[str, Any]:
    """Read a published schema by its name.

    Raises:
        FileNotFoundError: There is none of that name.
    """
    return json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))


def line_of(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a line of JSONL; None where the shape has no lines."""
    line = schema.get("$defs", {}).get("line")
    if line is None:
        return None
    return {
        "$schema": schema["$schema"],
        "$id": f"{schema['$id']}:line",
        "title": f"{schema['title']} (a line of JSONL)",
        "$ref": "#/$defs/line",
        "$defs": schema["$defs"],
    }
