"""The register of issued tokens: what each said, and whether it was revoked; never a token itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql

_SQL = sql.statements("tokens")


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token in one of its organizations. `narrowed`: it holds less than its member had."""

    organization_id: str
    token_id: str
    user_id: str
    kind: str
    role: str
    rights: list[str]
    narrowed: bool
    organizations: list[str]
    key_id: str
    issued_at: datetime
    issued_by: str
    expires_at: datetime
    replaces: str | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None


def register(conn: Connection[Any], row: TokenRow) -> None:
    """Put a token that is about to be handed out into the register of one organization."""
    conn.execute(_SQL["register"], asdict(row))


def token(conn: Connection[Any], organization_id: str, token_id: str) -> TokenRow | None:
    """The token as the organization knows it; None: it does not, or not yet."""
    values = {"organization_id": organization_id, "token_id": token_id}
    with conn.cursor(row_factory=class_row(TokenRow)) as cursor:
        return cursor.execute(_SQL["token"], values).fetchone()


def tokens(
    conn: Connection[Any],
    organization_id: str,
    *,
    user_id: str | None,
    living_at: datetime | None,
    limit: int,
) -> list[TokenRow]:
    """The newest first, of one user where asked; with `living_at` only those good at that time."""
    values = {
        "organization_id": organization_id,
        "user_id": user_id,
        "living_at": living_at,
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(TokenRow)) as cursor:
        return cursor.execute(_SQL["tokens"], values).fetchall()


def revoke(
    conn: Connection[Any],
    organization_id: str,
    *,
    by: str,
    at: datetime,
    token_ids: Sequence[str] | None = None,
    user_id: str | None = None,
) -> list[TokenRow]:
    """End tokens that live, for this organization alone: these, or a user's, or all; as they are now."""
    values = {
        "organization_id": organization_id,
        "by": by,
        "at": at,
        "token_ids": None if token_ids is None else list(token_ids),
        "user_id": user_id,
    }
    with conn.cursor(row_factory=class_row(TokenRow)) as cursor:
        return cursor.execute(_SQL["revoke"], values).fetchall()


def count_outliving(
    conn: Connection[Any], organization_id: str, key_ids: Iterable[str], until: datetime
) -> int:
    """How many living tokens of these keys are meant to be good for longer than that."""
    values = {"organization_id": organization_id, "key_ids": list(key_ids), "until": until}
    row = conn.execute(_SQL["count_outliving"], values).fetchone()
    return row[0] if row else 0
