"""The register of issued tokens, which never holds a token itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, TokenId, UserId
from pfa_core.model.ordering import TOKENS, SortKey
from pfa_core.model.principal import Role
from pfa_core.store import rls
from pfa_core.store.adapters import typed_row
from pfa_core.store.ordering import By, order_by

_SQL = sql.statements("tokens")
# Those of the table: what is shown is kept within what a date can be.
_ORDERS = {
    "issuedAt": By("pfa_token.issued_at"),
    "expiresAt": By("pfa_token.expires_at"),
    "userId": By('user_id COLLATE "C"'),
    "kind": By('kind COLLATE "C"'),
    "role": By('role COLLATE "C"'),
    "revokedAt": By("pfa_token.revoked_at", nullable=True),
}


class TokenKind(StrEnum):
    """Who holds a token: a person, or a service."""

    USER = "user"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token in one of its organizations.

    `narrowed`: it has fewer rights than its member had.
    """

    organization_id: OrganizationId
    token_id: TokenId
    user_id: UserId
    kind: TokenKind
    role: Role
    rights: list[str]
    narrowed: bool
    organizations: list[OrganizationId]
    key_id: str
    issued_at: datetime
    issued_by: UserId
    expires_at: datetime
    replaces: TokenId | None = None
    revoked_at: datetime | None = None
    revoked_by: UserId | None = None


def register(conn: Connection[Any], row: TokenRow, token: str) -> None:
    """Register a token, before it is issued, in one organization.

    Under row-level security the database takes each value from the signed token itself.
    """
    bound = rls.applies(conn)
    values = {"token": token} if bound else asdict(row)
    conn.execute(_SQL.for_role("register", rls=bound), values)


def token(
    conn: Connection[Any], organization_id: OrganizationId, token_id: TokenId
) -> TokenRow | None:
    """Read a token of the organization; None: unknown."""
    values = {"organization_id": organization_id, "token_id": token_id}
    with conn.cursor(row_factory=typed_row(TokenRow)) as cursor:
        return cursor.execute(_SQL["token"], values).fetchone()


def tokens(
    conn: Connection[Any],
    organization_id: OrganizationId,
    *,
    user_id: UserId | None,
    active_at: datetime | None,
    limit: int,
    keys: Sequence[SortKey] = (),
) -> list[TokenRow]:
    """List tokens, the newest first unless keys say otherwise.

    Args:
        active_at: Only those valid at that time.
    """
    values = {
        "organization_id": organization_id,
        "user_id": user_id,
        "active_at": active_at,
        "limit": limit,
    }
    with conn.cursor(row_factory=typed_row(TokenRow)) as cursor:
        order = order_by(keys or TOKENS.parse(), _ORDERS, "token_id")
        return cursor.execute(_SQL["tokens"].format(order=order), values).fetchall()


def revoke(
    conn: Connection[Any],
    organization_id: OrganizationId,
    *,
    by: UserId,
    at: datetime,
    token_ids: Sequence[TokenId] | None = None,
    user_id: UserId | None = None,
) -> list[TokenRow]:
    """Revoke active tokens in this organization.

    They are these, or a user's, or all. Under row-level security the time is the database's, and the user the
    caller.

    Returns:
        The revoked tokens. They are read by a second statement: a row that cannot be read stays revoked.
    """
    values = {
        "organization_id": organization_id,
        "by": by,
        "at": at,
        "token_ids": None if token_ids is None else list(token_ids),
        "user_id": user_id,
    }
    statement = _SQL.for_role("revoke", rls=rls.applies(conn))
    ids = [row[0] for row in conn.execute(statement, values).fetchall()]
    with conn.cursor(row_factory=typed_row(TokenRow)) as cursor:
        return cursor.execute(_SQL["of_ids"], {**values, "token_ids": ids}).fetchall()


def count_outliving(
    conn: Connection[Any], organization_id: OrganizationId, key_ids: Iterable[str], until: datetime
) -> int:
    """Count the active tokens of these keys that expire later than `until`."""
    values = {"organization_id": organization_id, "key_ids": list(key_ids), "until": until}
    row = conn.execute(_SQL["count_outliving"], values).fetchone()
    return row[0] if row else 0
