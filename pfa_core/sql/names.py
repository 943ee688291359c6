"""Names of the database as they are typed in SQL."""

from __future__ import annotations


def typed(name: str) -> str:
    """Write a name of a role or schema in quotes.

    Which words need none differs by version: `user` alone would be the session's role.
    """
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
