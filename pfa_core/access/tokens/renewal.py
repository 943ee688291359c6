"""Renewal of the stored token for one more organization."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import Carried, Order, carried, grant_of
from pfa_core.access.tokens.stored import stored_token
from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidToken
from pfa_core.model.ids import OrganizationId, UserId
from pfa_core.model.member import Member


def renewal(
    conn: Connection[Any], held: Sequence[jwt.Claims], member: Member, ttl: timedelta
) -> Order:
    """Order a token for the member that also holds what these tokens held.

    Of an organization that several hold, the first one says what.
    """
    kept: dict[OrganizationId, Carried] = {}
    for claims in held:
        for code in claims.organizations.keys() - kept.keys():
            if item := carried(conn, claims, code):
                kept[code] = item
    grants = {code: item.grant for code, item in kept.items()}
    narrowed = {code for code, item in kept.items() if item.narrowed}
    return Order(
        user_id=member.user_id,
        grants={**grants, member.organization_id: grant_of(member)},
        ttl=ttl,
        by=member.user_id,
        narrowed=frozenset(narrowed - {member.organization_id}),
        not_before=max((claims.issued_at for claims in held), default=None),
    )


def held_before(settings: Settings, ring: Keyring, user: UserId) -> list[jwt.Claims]:
    """Read the user's present token and the stored one.

    They are two where a variable has the present one. Expired or not; none that is not of this installation and
    user. The new token is stored in the place of the second.
    """
    present = settings.token.reveal() if settings.token else ""
    found = []
    for token in dict.fromkeys(filter(None, (present, stored_token(settings)))):
        with suppress(InvalidToken):
            claims = jwt.verify(token, ring, datetime.min.replace(tzinfo=UTC))
            if claims.user_id == user:
                found.append(claims)
    return found
