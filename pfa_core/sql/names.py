"""Names of the database as they are typed in SQL."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def typed(name: str) -> str:
    """Write a name of a role or schema: in quotes where SQL would read it otherwise."""
    if _PLAIN.fullmatch(name):
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
