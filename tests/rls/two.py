"""Two organizations under row-level security, and what a session sees of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import Connection, errors

import pfa_core
from pfa_core.model.principal import Principal
from tests.factories import World, a_token

TENANT_TABLES = """
    SELECT c.relname FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'organization_id'
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""
SCOPES = ("member", "read", "save_draft", "commit", "sync", "import", "refresh_data",
          "manage_users", "manage_settings")  # fmt: skip


@dataclass
class Two:
    """Two organizations in one database: its owner's address and that of the application."""

    url: str
    bound: str
    org: World
    foreign: World
    tables: list[str]
    owner: Connection[Any]

    @contextmanager
    def psql(self) -> Iterator[Connection[Any]]:
        """A session of a user who knows the application's password."""
        with psycopg.connect(self.bound, autocommit=True) as conn:
            yield conn

    def as_owner(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.owner.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def everything(self) -> dict[str, str]:
        """What each table holds, as its owner sees it."""
        content = "(SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {0} AS t)"
        columns = ", ".join(content.format(table) for table in self.tables)
        return dict(zip(self.tables, self.as_owner(f"SELECT {columns}")[0], strict=True))


def authorize(
    conn: Connection[Any], who: Principal, scope: str = "read", *, organization: str | None = None
) -> list[tuple[Any, ...]]:
    assert who.token is not None
    return conn.execute(
        "SELECT * FROM pfa_authorize(%s, %s, %s)",
        [who.token.reveal(), organization or who.organization_id, scope],
    ).fetchall()


def seen(conn: Connection[Any], two: Two) -> dict[str, set[str]]:
    """The organizations whose rows are seen, by table; tables that show nothing are left out."""
    found: dict[str, set[str]] = {}
    for table in two.tables:
        try:
            with conn.transaction():
                rows = conn.execute(f"SELECT DISTINCT organization_id FROM {table}").fetchall()
        except errors.InsufficientPrivilege:
            continue
        if rows:
            found[table] = {row[0] for row in rows}
    return found


def a_forged(two: Two, **changes: Any) -> Principal:
    ann = two.org.principal("ann")
    return replace(ann, token=pfa_core.config.settings.Secret(a_token(ann, **changes)))
