"""Creation of tokens.

A token is signed, registered in each organization and entered in the audit trail. All of it happens in
the transaction of the caller, and the token is handed out only after that ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.keyring import Keyring, SigningKey
from pfa_core.authorization import reauthorize
from pfa_core.errors import ConfigInvalid, InvalidRequest
from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId, TokenId, UserId
from pfa_core.model.member import Member
from pfa_core.model.principal import Right, Role
from pfa_core.store import audit, members, signing_keys
from pfa_core.store import tokens as register
from pfa_core.store.database import Database
from pfa_core.store.signing_keys import KeyRow, NewKey
from pfa_core.store.tokens import TokenKind, TokenRow

MAX_TTL = timedelta(days=366)
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The content of a token to create.

    Args:
        grants: By organization; at least one.
        by: The user who orders it.
        narrowed: The organizations in which it holds less than its member.
        replaces: The id of the token that it is refreshed from.
        not_before: When the token in whose place it is stored was issued: by a clock that was set back it
            would end earlier than that one.
        holder: The claims of that token: row-level security authorizes each organization by them.
    """

    user_id: UserId
    grants: Mapping[OrganizationId, jwt.Grant]
    ttl: timedelta
    by: UserId
    action: Action = Action.TOKEN_ISSUE
    narrowed: frozenset[OrganizationId] = frozenset()
    replaces: TokenId | None = None
    not_before: datetime | None = None
    holder: jwt.Claims | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """A token to hand out, and its claims."""

    token: str
    claims: jwt.Claims

    def __repr__(self) -> str:
        return f"Minted({self.claims.token_id})"


@dataclass(frozen=True, slots=True)
class Carried:
    """What a token that replaces another may hold of an organization.

    `narrowed`: that is less than its member has.
    """

    grant: jwt.Grant
    narrowed: bool


def require_lifetime(ttl: timedelta) -> None:
    """Refuse a lifetime that no token may have.

    Raises:
        InvalidRequest: None at all, or more than 366 days.
    """
    if not timedelta(0) < ttl <= MAX_TTL:
        raise InvalidRequest("invalid lifetime of a token: more than 0, at most 366 days")


def mint(conn: Connection[Any], db: Database, ring: Keyring, order: Order) -> Minted:
    """Sign, register and audit a token.

    Raises:
        InvalidRequest: An invalid lifetime.
        ConfigInvalid: The signing key was ended in this database.
    """
    require_lifetime(order.ttl)
    # Tokens have whole seconds, and the register says what they say.
    issued_at = max(db.clock(), order.not_before or _EARLIEST, *_since(conn, order))
    issued_at = issued_at.replace(microsecond=0)
    ring = register_keys(conn, db, ring, min(order.grants), order.by)
    claims = jwt.Claims(
        user_id=order.user_id,
        token_id=TokenId(str(db.new_id())),
        issued_at=issued_at,
        expires_at=issued_at + order.ttl,
        organizations=order.grants,
        key_id=ring.signing.key_id,
    )
    token = jwt.sign(claims, ring, narrowed=order.narrowed, replaces=order.replaces)
    for code in sorted(order.grants):
        if order.holder:
            reauthorize(conn, order.holder.principal(code), None)
        row = _row(claims, code, order)
        register.register(conn, row, token)
        audit_token(conn, db, order.by, order.action, row)
    return Minted(token, claims)


def _since(conn: Connection[Any], order: Order) -> Iterator[datetime]:
    """Read before when a token of the user would be refused, in each organization."""
    for code in sorted(order.grants):
        if order.holder:
            reauthorize(conn, order.holder.principal(code), None)
        since = members.tokens_since(conn, code, order.user_id)
        if since:
            yield since


def register_keys(
    conn: Connection[Any],
    db: Database,
    ring: Keyring,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Keyring:
    """Store the keys of the ring that the database does not know.

    Returns:
        The ring; where a rotation was killed before it could change the order in the file, after that.

    Raises:
        ConfigInvalid: The signing key was ended there.
    """
    ring = finish_rotation(conn, ring, db.clock())
    known = _known(conn)
    mine = known.get(ring.signing.key_id)
    if mine and mine.ended:
        raise ConfigInvalid(
            f"the signing key {mine.key_id} has ended: the keys were rotated elsewhere",
            hint="take over the new key file or PFA_JWT_SECRET",
        )
    unknown = [
        NewKey(key.key_id, key.secret.reveal(), key.not_after)
        for key in ring.known
        if _is_new(key, known.get(key.key_id))
    ]
    if unknown:
        now = db.clock()
        stored = signing_keys.register(conn, unknown, now)
        entries = [audit.Entry(str(db.new_id()), after={"key": key}) for key in sorted(stored)]
        audit.write(conn, organization_id, user_id, Action.KEY_REGISTER, now, entries=entries)
    return ring


def finish_rotation(conn: Connection[Any], ring: Keyring, now: datetime) -> Keyring:
    """Let the next key of the ring sign, in its file too, if the database knows it."""
    coming = ring.next
    known = _known(conn) if coming else {}
    if coming is None or coming.key_id not in known:
        return ring
    before = known.get(ring.signing.key_id)
    until = before.not_after if before and before.not_after else now
    turned = ring.rotated(coming.secret, until, now)
    keyring.store(turned)
    return turned


def _known(conn: Connection[Any]) -> Mapping[str, KeyRow]:
    return {row.key_id: row for row in signing_keys.signing_keys(conn)}


def audit_token(
    conn: Connection[Any], db: Database, by: UserId, action: Action, row: TokenRow
) -> None:
    """Record what happened to a token in the audit trail of the token's organization."""
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
    audit.write(conn, row.organization_id, by, action, db.clock(), entries=[entry])


def carried(
    conn: Connection[Any], claims: jwt.Claims, organization_id: OrganizationId
) -> Carried | None:
    """Read what a token that replaces this one may hold of an organization.

    The rights are those of the member now; a narrowed token stays narrowed. None where the token was
    revoked or its user is not a member any more.
    """
    principal = claims.principal(organization_id)
    found = members.token_membership(conn, principal)
    if found is None or found.token_revoked:
        return None
    reauthorize(conn, principal, None)
    whole, held = grant_of(found.member), claims.organizations[organization_id]
    row = register.token(conn, organization_id, claims.token_id)
    if row and not row.narrowed:
        return Carried(whole, narrowed=False)
    # A token that the register does not know may have been narrowed too.
    kept = jwt.Grant(held.role, held.rights & whole.rights)
    if kept.rights == whole.rights and not row:
        return Carried(whole, narrowed=False)
    return Carried(kept, narrowed=True)


def grant_of(member: Member) -> jwt.Grant:
    """Return what a token may hold of a member as they are now."""
    return jwt.Grant(member.role, frozenset(map(Right, member.rights)))


def _row(claims: jwt.Claims, organization_id: OrganizationId, order: Order) -> TokenRow:
    grant = claims.organizations[organization_id]
    return TokenRow(
        organization_id=organization_id,
        token_id=claims.token_id,
        user_id=claims.user_id,
        kind=TokenKind.SERVICE if grant.role is Role.SERVICE else TokenKind.USER,
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


def _is_new(key: SigningKey, known: KeyRow | None) -> bool:
    """Return whether the database lacks the key, or stores a later end of it."""
    if known is None:
        return True
    return key.not_after is not None and (
        known.not_after is None or key.not_after < known.not_after
    )
