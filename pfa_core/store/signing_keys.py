"""Signing keys of the installation; their secrets are written and never read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql

_SQL = sql.statements("signing_keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as stored, without its secret.

    `ended`: retired or expired by the database's clock.
    """

    key_id: str
    created_at: datetime
    not_after: datetime | None
    retired_at: datetime | None
    ended: bool


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to register."""

    key_id: str
    secret: str
    not_after: datetime | None

    def __repr__(self) -> str:
        return f"NewKey({self.key_id})"


def signing_keys(conn: Connection[Any]) -> list[KeyRow]:
    """List all keys, the newest first."""
    with conn.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(_SQL["keys"]).fetchall()


def register(conn: Connection[Any], keys: Sequence[NewKey], at: datetime) -> list[str]:
    """Register keys; return the ids of new ones and of those that now expire earlier.

    A retired key stays retired.
    """
    values = {
        "ids": [key.key_id for key in keys],
        "secrets": [key.secret.encode() for key in keys],
        "ends": [key.not_after for key in keys],
        "at": at,
    }
    return [row[0] for row in conn.execute(_SQL["register"], values).fetchall()]


def lock(conn: Connection[Any]) -> None:
    """Lock the keys against concurrent changes."""
    conn.execute(_SQL["lock"])


def end(conn: Connection[Any], key_id: str, not_after: datetime) -> None:
    """Expire the key at a time, unless it expires earlier already."""
    conn.execute(_SQL["end"], {"key_id": key_id, "not_after": not_after})


def retire(conn: Connection[Any], key_id: str, at: datetime) -> bool:
    """Retire the key now; False: unknown key."""
    return conn.execute(_SQL["retire"], {"key_id": key_id, "at": at}).fetchone() is not None
