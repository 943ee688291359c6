"""Tokens issued to members and to services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfa_core.access.members import audit_change, parse_role, put_member, require_held
from pfa_core.access.names import require_person, require_service
from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import Order, grant_of, mint, require_lifetime
from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidRequest, NotFound
from pfa_core.model import shell
from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId, TokenId, UserId
from pfa_core.model.member import Member
from pfa_core.model.principal import (
    RIGHTS_OF,
    SERVICE_PREFIX,
    SERVICE_RIGHTS,
    Principal,
    Right,
    Role,
)
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import members
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A fresh token. `token` is the secret itself."""

    token: str
    token_id: TokenId
    user_id: UserId
    organization_id: OrganizationId
    role: Role
    expires_at: datetime

    def __repr__(self) -> str:
        return f"IssuedToken({self.token_id}, {self.user_id}, {self.organization_id})"


def issue_token(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    user_id: str,
    role: str | None = None,
    ttl: timedelta = jwt.DEFAULT_TTL,
) -> IssuedToken:
    """Issue a token for a user of the caller's organization.

    Args:
        role: Narrows the token to a lesser role; a user who is not a member yet becomes one with it.
        ttl: Its lifetime; at most 366 days.

    Raises:
        NotFound: Not a member, and no role was given.
        InvalidRequest: An invalid role or lifetime.
        PermissionDenied: It would hold a right that the caller does not.
    """
    require_person(user_id)
    require_lifetime(ttl)
    narrowed = parse_role(role) if role else None
    return _issue(db, principal, keyring.load(settings), UserId(user_id), narrowed, ttl)


@writes(Operation.ISSUE_TOKEN, own=True, as_owner=True)
def _issue(
    tx: Tx, ring: Keyring, user_id: UserId, role: Role | None, ttl: timedelta
) -> IssuedToken:
    code = tx.organization_id
    member = members.member(tx.conn, code, user_id) or _new_member(tx, user_id, role)
    whole = grant_of(member)
    grant = _narrowed(member, role) if role else whole
    require_held(tx, grant.rights)
    is_narrowed = bool(role) or grant.rights != whole.rights
    order = Order(
        user_id=user_id,
        grants={code: grant},
        ttl=ttl,
        by=tx.user_id,
        narrowed=frozenset((code,)) if is_narrowed else frozenset(),
    )
    return _issued(tx, ring, order)


def issue_service_token(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    service: str,
    rights: Iterable[str],
    ttl: timedelta = jwt.DEFAULT_TTL,
) -> IssuedToken:
    """Issue a token for a service.

    The service becomes the member `service:NAME` of the organization.

    Args:
        rights: All that the service may do from now on, by this token and by earlier ones.
        ttl: Its lifetime; at most 366 days.

    Raises:
        InvalidRequest: An invalid name or lifetime, no right, or one that no service can hold.
        PermissionDenied: A right that the caller does not hold.
    """
    require_service(service)
    require_lifetime(ttl)
    user_id, wanted = UserId(f"{SERVICE_PREFIX}{service}"), _service_rights(rights)
    return _issue_to_service(db, principal, keyring.load(settings), user_id, wanted, ttl)


@writes(Operation.ISSUE_SERVICE_TOKEN, own=True, as_owner=True)
def _issue_to_service(
    tx: Tx, ring: Keyring, user_id: UserId, rights: frozenset[Right], ttl: timedelta
) -> IssuedToken:
    require_held(tx, rights)
    before = members.member(tx.conn, tx.organization_id, user_id)
    if before is None or set(before.rights) != rights:
        after = put_member(tx, user_id, Role.SERVICE, rights)
        audit_change(tx, Action.GRANT, before, after)
    grants = {tx.organization_id: jwt.Grant(Role.SERVICE, rights)}
    return _issued(tx, ring, Order(user_id=user_id, grants=grants, ttl=ttl, by=tx.user_id))


def _issued(tx: Tx, ring: Keyring, order: Order) -> IssuedToken:
    minted = mint(tx.conn, tx.db, ring, order)
    return IssuedToken(
        token=minted.token,
        token_id=minted.claims.token_id,
        user_id=order.user_id,
        organization_id=tx.organization_id,
        role=order.grants[tx.organization_id].role,
        expires_at=minted.claims.expires_at,
    )


def _new_member(tx: Tx, user_id: UserId, role: Role | None) -> Member:
    if role is None:
        raise NotFound(
            f"{user_id} is not a member of {tx.organization_id}",
            hint="give --role, or type: pfa user grant first",
        )
    member = put_member(tx, user_id, role)
    audit_change(tx, Action.GRANT, None, member)
    return member


def _narrowed(member: Member, role: Role) -> jwt.Grant:
    held, full = frozenset(map(Right, member.rights)), jwt.full_grant(role)
    if not full.rights <= RIGHTS_OF[member.role] | held:
        raise InvalidRequest(
            f"{member.user_id} is {member.role}: a token cannot hold more",
            hint="type first: "
            + shell.command("pfa user grant", [member.user_id], f"--role {role}"),
        )
    return jwt.Grant(role, full.rights & held)


def _service_rights(names: Iterable[str]) -> frozenset[Right]:
    allowed = ", ".join(sorted(SERVICE_RIGHTS))
    wanted = set(names)
    if not wanted:
        raise InvalidRequest("a service needs at least one right", hint=f"rights: {allowed}")
    for name in sorted(wanted):
        if name not in list(Right):
            raise InvalidRequest(f"unknown right: {name!r}", hint=f"rights of a service: {allowed}")
        if name not in SERVICE_RIGHTS:
            raise InvalidRequest(
                f"a service cannot hold {name}: it edits no drafts and manages no users",
                hint=f"rights of a service: {allowed}",
            )
    return frozenset(map(Right, wanted))
