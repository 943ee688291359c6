"""The order of a token that takes the place of its user's own one."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.register import Minted, Order, carried, mint
from pfa_core.config.settings import Settings
from pfa_core.model.audit import Action
from pfa_core.model.principal import Role
from pfa_core.store import members
from pfa_core.store.database import Database


def renew(db: Database, settings: Settings, claims: jwt.Claims) -> Minted | None:
    """Make a token of the same organizations; None where this one may not be renewed.

    Raises:
        PfaError: The database refuses it, or cannot be reached.
    """
    ring = keyring.load(settings)

    def work(conn: Connection[Any]) -> Minted | None:
        order = _order(conn, claims)
        return mint(conn, db, ring, order) if order else None

    with db.administration() as owner:
        return owner.transact(work)


def _order(conn: Connection[Any], claims: jwt.Claims) -> Order | None:
    """Order what the token holds, with the rights of its user as they are now."""
    grants: dict[Any, jwt.Grant] = {}
    for code in sorted(claims.organizations):
        found = members.token_membership(conn, claims.principal(code))
        if found is None:
            continue
        if found.token_revoked or found.key_ended:
            return None
        kept = carried(conn, claims, code)
        if kept is None or kept.narrowed:
            return None
        grants[code] = kept.grant
    if not any(grant.role is Role.ADMIN for grant in grants.values()):
        return None
    return Order(
        user_id=claims.user_id,
        grants=grants,
        ttl=jwt.DEFAULT_TTL,
        by=claims.user_id,
        action=Action.TOKEN_REFRESH,
        replaces=claims.token_id,
        not_before=claims.issued_at,
    )
