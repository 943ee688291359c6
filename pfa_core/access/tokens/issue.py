"""Issuing: tokens for members and for services, and a new token in place of one that is still good."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access import members as membership
from pfa_core.access.members import require_held
from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.register import Minted, Order, carried, grant_of, mint, record
from pfa_core.authorization import authorize, reauthorize
from pfa_core.config.settings import Settings, write_secret_file
from pfa_core.errors import Forbidden, InvalidRequest, InvalidToken, NotFound
from pfa_core.model.audit import Action
from pfa_core.model.principal import (
    RIGHTS_OF,
    SERVICE_PREFIX,
    SERVICE_RIGHTS,
    Principal,
    Right,
    Role,
)
from pfa_core.model.rights import Operation
from pfa_core.store import members
from pfa_core.store import tokens as register
from pfa_core.store.database import Database
from pfa_core.store.members import Member

_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token. `token` is the secret itself."""

    token: str
    token_id: str
    user_id: str
    organization_id: str
    role: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"IssuedToken({self.token_id}, {self.user_id}, {self.organization_id})"


@dataclass(frozen=True, slots=True)
class RefreshedToken:
    """A token in place of another. `token` is the secret itself, `organizations` maps code to role,
    `token_file` is where it was kept ('': nowhere), `replaces` the id of the one before."""

    token: str
    token_id: str
    user_id: str
    organizations: Mapping[str, str]
    expires_at: datetime
    replaces: str
    revoked: bool
    token_file: str

    def __repr__(self) -> str:
        return f"RefreshedToken({self.token_id}, {self.user_id})"


def issue_token(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    user_id: str,
    role: str | None = None,
    ttl: timedelta = jwt.DEFAULT_TTL,
) -> IssuedToken:
    """A token for a user of the principal's organization.

    Args:
        role: Narrows the token to a lesser role; a user who is not a member yet becomes one with it.
        ttl: How long it is good; at most 366 days.

    Raises:
        NotFound: Not a member, and no role was given.
        InvalidRequest: The role or the life is not acceptable.
        PermissionDenied: It would hold a right that the principal does not.
    """
    membership.require_person(user_id)
    narrowed = membership.parse_role(role) if role else None
    ring = keyring.load(settings)

    def work(conn: Connection[Any]) -> Minted:
        giver = authorize(conn, principal, Operation.ISSUE_TOKEN, writing=True)
        member = members.member(conn, principal.organization_id, user_id)
        if member is None:
            member = _new_member(conn, db, principal, user_id, narrowed)
        whole = grant_of(member)
        grant = _narrowed(member, narrowed) if narrowed else whole
        require_held(principal, giver, grant.rights, Operation.ISSUE_TOKEN)
        less = {principal.organization_id} if narrowed or grant.rights != whole.rights else ()
        order = Order(
            user_id,
            {principal.organization_id: grant},
            ttl,
            principal.user_id,
            narrowed=frozenset(less),
        )
        return mint(conn, db, ring, order)

    with db.administration() as own:
        return _issued(own.transact(work), principal.organization_id)


def issue_service_token(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    service: str,
    rights: Iterable[str],
    ttl: timedelta = jwt.DEFAULT_TTL,
) -> IssuedToken:
    """A token for a job of the principal's organization, which becomes a member `service:NAME`.

    Args:
        rights: All that the service may do from now on, by this token and by those it has already.
        ttl: How long it is good; at most 366 days.

    Raises:
        InvalidRequest: No name, no right, a right that no service can hold, or such a life.
        PermissionDenied: A right that the principal does not hold.
    """
    if not _SERVICE.fullmatch(service):
        raise InvalidRequest(
            f"{service!r} is no name of a service",
            hint="up to 50 letters, digits, dots, dashes and underscores, a letter or digit first",
        )
    user_id, wanted = f"{SERVICE_PREFIX}{service}", _service_rights(rights)
    ring = keyring.load(settings)

    def work(conn: Connection[Any]) -> Minted:
        giver = authorize(conn, principal, Operation.ISSUE_SERVICE_TOKEN, writing=True)
        require_held(principal, giver, wanted, Operation.ISSUE_SERVICE_TOKEN)
        before = members.member(conn, principal.organization_id, user_id)
        if before is None or set(before.rights) != wanted:
            after = membership.put_member(conn, db, principal, user_id, Role.SERVICE, wanted)
            membership.audit_change(conn, db, principal, Action.GRANT, before, after)
        grants = {principal.organization_id: jwt.Grant(Role.SERVICE, wanted)}
        return mint(conn, db, ring, Order(user_id, grants, ttl, principal.user_id))

    with db.administration() as own:
        return _issued(own.transact(work), principal.organization_id)


def refresh_token(
    db: Database,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    ttl: timedelta | None = None,
    revoke_old: bool = False,
    keep: bool = True,
) -> RefreshedToken:
    """A new token in place of the present one, which must still be good: the same organizations or
    fewer, with the rights of the member as they are now. A narrowed token stays narrowed.

    Args:
        only: The organizations it shall hold; none given: all that the present one holds, but for
            those that revoked it or where its user is no member any more.
        ttl: How long it is good, at most as long as the present one was made for; None: as long.
        revoke_old: The present one ends now.
        keep: Put the new one into the file that the present one came from.

    Raises:
        Unauthorized, TokenExpired, InvalidToken: There is no token, or it is no longer good.
        Forbidden: It does not hold one of `only`, or its user is no member there.
        InvalidRequest: Too long a life, or the token came from no file that could keep another.
    """
    claims = jwt.present(settings, db.clock())
    home = settings.token_home
    if keep and home is None:
        raise InvalidRequest(
            f"the token comes from {settings.token_source}: a new one cannot be kept there",
            hint="add --print to have it printed",
        )
    life = _refreshed_life(claims, ttl)
    ring = keyring.load(settings)

    def work(conn: Connection[Any]) -> Minted:
        order = _refreshed(conn, claims, only, life)
        minted = mint(conn, db, ring, order)
        if revoke_old:
            _revoke(conn, db, claims)
        # Before the transaction ends: a file that cannot be written leaves the old token good.
        if keep and home:
            write_secret_file(home, minted.token)
        return minted

    with db.administration() as own:
        minted = own.transact(work)
    return RefreshedToken(
        minted.token,
        minted.claims.token_id,
        claims.user_id,
        {code: str(grant.role) for code, grant in sorted(minted.claims.organizations.items())},
        minted.claims.expires_at,
        claims.token_id,
        revoke_old,
        str(home) if keep else "",
    )


def _issued(minted: Minted, organization_id: str) -> IssuedToken:
    claims = minted.claims
    role = claims.organizations[organization_id].role
    return IssuedToken(
        minted.token, claims.token_id, claims.user_id, organization_id, role, claims.expires_at
    )


def _new_member(
    conn: Connection[Any], db: Database, by: Principal, user_id: str, role: Role | None
) -> Member:
    if role is None:
        raise NotFound(
            f"{user_id} is not a member of {by.organization_id}",
            hint="give --role, or type: pfa user grant first",
        )
    member = membership.put_member(conn, db, by, user_id, role)
    membership.audit_change(conn, db, by, Action.GRANT, None, member)
    return member


def _narrowed(member: Member, role: Role) -> jwt.Grant:
    held, full = frozenset(map(Right, member.rights)), jwt.full_grant(role)
    if not full.rights <= RIGHTS_OF[Role(member.role)] | held:
        raise InvalidRequest(
            f"{member.user_id} is {member.role}: a token cannot hold more",
            hint=f"type first: pfa user grant {member.user_id} --role {role}",
        )
    return jwt.Grant(role, full.rights & held)


def _service_rights(names: Iterable[str]) -> frozenset[Right]:
    allowed = ", ".join(sorted(SERVICE_RIGHTS))
    wanted = set(names)
    if not wanted:
        raise InvalidRequest("which rights? a service holds none by itself", hint=allowed)
    for name in sorted(wanted):
        if name not in list(Right):
            raise InvalidRequest(f"{name!r} is no right", hint=f"rights of a service: {allowed}")
        if name not in SERVICE_RIGHTS:
            raise InvalidRequest(
                f"a service cannot hold {name}: it edits no drafts and manages nobody",
                hint=f"rights of a service: {allowed}",
            )
    return frozenset(map(Right, wanted))


def _spelled(life: timedelta) -> str:
    """As `--ttl` takes it: 90d, 8h, 90s."""
    seconds = int(life.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _refreshed_life(claims: jwt.Claims, ttl: timedelta | None) -> timedelta:
    """A life that cannot grow from token to token."""
    longest = claims.expires_at - claims.issued_at
    if ttl is not None and ttl > longest:
        raise InvalidRequest(
            f"a refreshed token lives no longer than the one before, {_spelled(longest)}",
            hint="an admin issues one for longer: pfa auth issue",
        )
    return longest if ttl is None else ttl


def _refreshed(
    conn: Connection[Any], claims: jwt.Claims, only: Sequence[str], ttl: timedelta
) -> Order:
    foreign = sorted(set(only) - set(claims.organizations))
    if foreign:
        raise Forbidden(f"the token does not hold {', '.join(foreign)}")
    codes = sorted(only or claims.organizations)
    found = {code: carried(conn, claims, code) for code in codes}
    kept = {code: held for code, held in found.items() if held}
    if not kept or (only and len(kept) < len(codes)):
        _explain_loss(conn, claims, [code for code in codes if code not in kept])
    return Order(
        claims.user_id,
        {code: grant for code, (grant, _) in kept.items()},
        ttl,
        claims.user_id,
        Action.TOKEN_REFRESH,
        frozenset(code for code, (_, narrowed) in kept.items() if narrowed),
        claims.token_id,
        claims,
    )


def _explain_loss(conn: Connection[Any], claims: jwt.Claims, lost: Sequence[str]) -> None:
    for code in lost:
        authorize(conn, claims.principal(code), Operation.REFRESH_TOKEN)
    raise InvalidToken("the token holds no organization", hint="pfa auth issue makes one that does")


def _revoke(conn: Connection[Any], db: Database, claims: jwt.Claims) -> None:
    for code in sorted(claims.organizations):
        reauthorize(conn, claims.principal(code), None)
        gone = register.revoke(
            conn, code, by=claims.user_id, at=db.clock(), token_ids=[claims.token_id]
        )
        for row in gone:
            record(conn, db, code, claims.user_id, Action.TOKEN_REVOKE, row)
