"""Minting: a token is signed, put into the register of each of its organizations and audited, all in
the transaction of its caller. Only after that ends is the token handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt
from pfa_core.access.tokens.keyring import Keyring, SigningKey
from pfa_core.authorization import reauthorize
from pfa_core.errors import ConfigInvalid, InvalidRequest
from pfa_core.model.audit import Action
from pfa_core.model.principal import Right, Role
from pfa_core.store import audit, members, signing_keys
from pfa_core.store import tokens as register
from pfa_core.store.database import Database
from pfa_core.store.members import Member
from pfa_core.store.signing_keys import KeyRow, NewKey
from pfa_core.store.tokens import TokenRow

MAX_TTL = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Order:
    """What a token is to be.

    Args:
        grants: By organization; at least one.
        by: Who orders it.
        narrowed: The organizations in which it holds less than its member.
        replaces: The token that it is refreshed from.
        holder: What that says: by it the wall lets into each organization in turn.
    """

    user_id: str
    grants: Mapping[str, jwt.Grant]
    ttl: timedelta
    by: str
    action: Action = Action.TOKEN_ISSUE
    narrowed: frozenset[str] = frozenset()
    replaces: str | None = None
    holder: jwt.Claims | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """A token to hand out, and what it says."""

    token: str
    claims: jwt.Claims

    def __repr__(self) -> str:
        return f"Minted({self.claims.token_id})"


def mint(conn: Connection[Any], db: Database, ring: Keyring, order: Order) -> Minted:
    """Sign, register and audit a token.

    Raises:
        InvalidRequest: Its life is not acceptable.
        ConfigInvalid: The key to sign with has been ended in this database.
    """
    if not timedelta(0) < order.ttl <= MAX_TTL:
        raise InvalidRequest("a token lives longer than nothing and at most 366 days")
    now = db.clock()
    claims = jwt.Claims(
        order.user_id, str(db.new_id()), now, now + order.ttl, order.grants, ring.signing.key_id
    )
    meet(conn, db, ring, min(order.grants), order.by)
    for code in sorted(order.grants):
        if order.holder:
            reauthorize(conn, order.holder.principal(code), None)
        row = _row(claims, code, order)
        register.register(conn, row)
        record(conn, db, code, order.by, order.action, row)
    return Minted(jwt.sign(claims, ring), claims)


def meet(
    conn: Connection[Any], db: Database, ring: Keyring, organization_id: str, user_id: str
) -> None:
    """Let the database know the keys of the ring, as far as it does not.

    Raises:
        ConfigInvalid: The key to sign with has been ended there.
    """
    known = {row.key_id: row for row in signing_keys.signing_keys(conn)}
    mine = known.get(ring.signing.key_id)
    if mine and mine.ended:
        raise ConfigInvalid(
            f"the signing key {mine.key_id} has ended: somebody rotated the keys",
            hint="take over the new key file or PFA_JWT_SECRET",
        )
    news = [
        NewKey(key.key_id, key.secret.reveal(), key.not_after)
        for key in ring.keys
        if _is_news(key, known.get(key.key_id))
    ]
    if news:
        told = signing_keys.register(conn, news, db.clock())
        entries = [audit.Entry(str(db.new_id()), after={"key": one}) for one in sorted(told)]
        audit.write(conn, organization_id, user_id, Action.KEY_REGISTER, db.clock(), entries)


def record(
    conn: Connection[Any],
    db: Database,
    organization_id: str,
    by: str,
    action: Action,
    row: TokenRow,
) -> None:
    """Write what happened to a token into the audit trail."""
    shown = {
        "token": row.token_id,
        "user": row.user_id,
        "role": row.role,
        "rights": row.rights,
        "expiresAt": f"{row.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    if row.replaces:
        shown["replaces"] = row.replaces
    entry = audit.Entry(str(db.new_id()), after=shown)
    audit.write(conn, organization_id, by, action, db.clock(), [entry])


def carried(
    conn: Connection[Any], claims: jwt.Claims, organization_id: str
) -> tuple[jwt.Grant, bool] | None:
    """What a token that takes the place of this one may say of an organization, and whether that is less
    than its member has; None where the token was revoked or its user is no member any more.

    The rights are those of the member now. A token that was narrowed stays so.
    """
    found = members.token_membership(conn, claims.principal(organization_id))
    if found is None or found.token_revoked:
        return None
    reauthorize(conn, claims.principal(organization_id), None)
    whole, held = grant_of(found.member), claims.organizations[organization_id]
    row = register.token(conn, organization_id, claims.token_id)
    if row and not row.narrowed:
        return whole, False
    # A token from before the register may have been narrowed too.
    kept = jwt.Grant(held.role, held.rights & whole.rights)
    return (whole, False) if kept.rights == whole.rights and not row else (kept, True)


def grant_of(member: Member) -> jwt.Grant:
    """What a token may say of a member as they are now."""
    return jwt.Grant(Role(member.role), frozenset(map(Right, member.rights)))


def _row(claims: jwt.Claims, organization_id: str, order: Order) -> TokenRow:
    grant = claims.organizations[organization_id]
    return TokenRow(
        organization_id=organization_id,
        token_id=claims.token_id,
        user_id=claims.user_id,
        kind="service" if grant.role is Role.SERVICE else "user",
        role=grant.role,
        rights=sorted(grant.rights),
        narrowed=organization_id in order.narrowed,
        organizations=sorted(claims.organizations),
        key_id=claims.key_id,
        issued_at=claims.issued_at,
        issued_by=order.by,
        expires_at=claims.expires_at,
        replaces=order.replaces,
    )


def _is_news(key: SigningKey, known: KeyRow | None) -> bool:
    if known is None:
        return True
    return key.not_after is not None and (
        known.not_after is None or key.not_after < known.not_after
    )
