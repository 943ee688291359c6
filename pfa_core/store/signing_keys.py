"""The signing keys that the database knows: installation-wide, the secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql

_SQL = sql.statements("signing_keys")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as stored, without its secret. `ended`: it verifies nothing any more, by the database's
    clock."""

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
    """All keys, the newest first."""
    with conn.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(_SQL["keys"]).fetchall()


def register(conn: Connection[Any], keys: Sequence[NewKey], at: datetime) -> list[str]:
    """Let the database know the keys; the ids of those that it did not know, or not so short a life of.
    A key that was retired stays so."""
    values = {
        "ids": [key.key_id for key in keys],
        "secrets": [key.secret.encode() for key in keys],
        "ends": [key.not_after for key in keys],
        "at": at,
    }
    return [row[0] for row in conn.execute(_SQL["register"], values).fetchall()]


def lock(conn: Connection[Any]) -> None:
    """Let changes of the keys take turns."""
    conn.execute(_SQL["lock"])


def end(conn: Connection[Any], key_id: str, not_after: datetime) -> None:
    """Let the key verify until then, or until it ends already."""
    conn.execute(_SQL["end"], {"key_id": key_id, "not_after": not_after})


def retire(conn: Connection[Any], key_id: str, at: datetime) -> bool:
    """End the key at once; False when there is no such key."""
    return conn.execute(_SQL["retire"], {"key_id": key_id, "at": at}).fetchone() is not None
