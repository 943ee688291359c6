"""Saved views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pfa_core import sql
from pfa_core.model.ids import UserId
from pfa_core.model.principal import Principal
from pfa_core.store import writing

_SQL = sql.statements("views")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRow:
    """A view as stored; without a user it is the organization's."""

    name: str
    user_id: str
    content: Mapping[str, Any]
    created_by: UserId
    created_at: datetime
    updated_by: UserId
    updated_at: datetime

    @property
    def shared(self) -> bool:
        """Return whether it is the organization's."""
        return not self.user_id


def views(conn: Connection[Any], principal: Principal) -> list[ViewRow]:
    """List the user's own views and the shared ones, by name, of a name the own first."""
    with conn.cursor(row_factory=class_row(ViewRow)) as cursor:
        return cursor.execute(_SQL["views"], _of(principal)).fetchall()


def named(conn: Connection[Any], principal: Principal, name: str) -> list[ViewRow]:
    """List the views of a name, two at most, the user's own first."""
    with conn.cursor(row_factory=class_row(ViewRow)) as cursor:
        return cursor.execute(_SQL["named"], {**_of(principal), "name": name}).fetchall()


def put(
    conn: Connection[Any],
    principal: Principal,
    name: str,
    content: Mapping[str, Any],
    *,
    shared: bool,
    administers: bool,
    at: datetime,
) -> bool:
    """Store a view under its name.

    Returns False where there are as many as there may be, or a shared one is another author's.

    Args:
        administers: The principal may change shared views of others. Under row-level security the database
            decides that itself.
    """
    values = {
        **_of(principal),
        "name": name,
        "content": Jsonb(content),
        "owner": principal.user_id,
        "at": at,
        "administers": administers,
    }
    return bool(writing.changed(conn, _SQL, "put_shared" if shared else "put_own", values))


def delete(
    conn: Connection[Any], principal: Principal, name: str, *, shared: bool, administers: bool
) -> bool:
    """Delete a view; False: there is none, or a shared one is another author's.

    Args:
        administers: As in `put`.
    """
    values = {
        **_of(principal),
        "name": name,
        "owner": principal.user_id,
        "administers": administers,
    }
    return bool(writing.changed(conn, _SQL, "delete_shared" if shared else "delete_own", values))


def _of(principal: Principal) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "user_id": principal.user_id}
