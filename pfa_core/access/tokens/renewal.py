"""Renewal of the stored token for one more organization."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import Order, carried, grant_of
from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidToken
from pfa_core.model.ids import UserId
from pfa_core.model.member import Member


def renewal(
    conn: Connection[Any], held: jwt.Claims | None, member: Member, ttl: timedelta
) -> Order:
    """Order a token for the member that also holds what the stored token held."""
    found = {code: carried(conn, held, code) for code in held.organizations} if held else {}
    kept = {code: item for code, item in found.items() if item}
    grants = {code: item.grant for code, item in kept.items()}
    narrowed = {code for code, item in kept.items() if item.narrowed}
    return Order(
        user_id=member.user_id,
        grants={**grants, member.organization_id: grant_of(member)},
        ttl=ttl,
        by=member.user_id,
        narrowed=frozenset(narrowed - {member.organization_id}),
        not_before=held.issued_at if held else None,
    )


def held_before(settings: Settings, ring: Keyring, user: UserId) -> jwt.Claims | None:
    """Read the user's present token, expired or not.

    Returns None where there is none, or where it is not a token of this installation and user.
    """
    if settings.token is None:
        return None
    try:
        claims = jwt.verify(settings.token.reveal(), ring, datetime.min.replace(tzinfo=UTC))
    except InvalidToken:
        return None
    return claims if claims.user_id == user else None
