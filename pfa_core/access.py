"""Who may come in: organizations, members, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core import tokens
from pfa_core.errors import (
    Forbidden,
    IllegalTransition,
    InvalidRequest,
    InvalidToken,
    NotFound,
    PermissionDenied,
)
from pfa_core.granting import require_held, rights_of_grant
from pfa_core.guard import enter
from pfa_core.model.principal import RIGHTS_OF, Principal, Right, Role
from pfa_core.model.rights import Operation
from pfa_core.naming import require_code, require_name, require_user
from pfa_core.settings import Settings, os_user, write_secret_file
from pfa_core.store import audit, members
from pfa_core.store.database import Database
from pfa_core.store.members import Member

MAX_TTL = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class InitResult:
    """What a newcomer's start made; `created` is False when the organization was there before."""

    organization_id: str
    user_id: str
    created: bool
    token_file: str
    key_file: str
    expires_at: datetime


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
class OrgResult:
    """An organization that was asked for; `created` is False when it was there before."""

    organization_id: str
    created: bool
    token_file: str


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization of the caller's, and their role in it."""

    organization_id: str
    name: str
    status: str
    role: str
    created_at: datetime


def initialize(
    db: Database,
    settings: Settings,
    organization_id: str,
    *,
    name: str = "",
    user_id: str | None = None,
    ttl: timedelta = tokens.DEFAULT_TTL,
) -> InitResult:
    """Make an organization with the OS user as its admin, and sign that user in.

    Safe to repeat: what is there stays, the token is renewed. An organization that is there already
    is entered only by its own members.

    Raises:
        InvalidRequest: The code is no organization code.
        Forbidden: It exists and the user is no member of it.
    """
    require_code(organization_id)
    require_name(name)
    user = user_id or os_user()
    require_user(user)
    tokens.ensure_key(settings)

    def work(conn: Connection[Any]) -> bool:
        created = _add_organization(conn, db, user, organization_id, name)
        if not created and members.member(conn, organization_id, user) is None:
            raise Forbidden(
                f"the organization {organization_id} exists and {user} is not a member of it",
                hint=f"an admin types: pfa user grant {user} --org {organization_id} --role admin",
            )
        return created

    created = db.transact(work)
    expires = _renew(db, settings, user, organization_id, ttl)
    return InitResult(
        organization_id, user, created, str(settings.token_file), str(settings.key_file), expires
    )


def add_organization(
    db: Database, settings: Settings, organization_id: str, *, name: str = "", dry_run: bool = False
) -> OrgResult:
    """Add an organization, its caller as admin, and renew the stored token so that it holds it.

    Raises:
        PermissionDenied: The caller administers no organization yet.
    """
    require_code(organization_id)
    require_name(name)
    claims = tokens.present(settings, db.clock())

    def work(conn: Connection[Any]) -> bool:
        _require_some_admin(conn, claims)
        created = _add_organization(conn, db, claims.user_id, organization_id, name)
        if not created and members.member(conn, organization_id, claims.user_id) is None:
            raise Forbidden(f"the organization {organization_id} exists and is not yours")
        return created

    created = db.transact(work, dry_run=dry_run)
    if not dry_run:
        _renew(db, settings, claims.user_id, organization_id, tokens.DEFAULT_TTL)
    return OrgResult(organization_id, created, str(settings.token_file))


def list_organizations(db: Database, settings: Settings) -> list[Organization]:
    """The organizations that the token holds and the caller is a member of, by code."""
    claims = tokens.present(settings, db.clock())

    def work(conn: Connection[Any]) -> list[Organization]:
        found = []
        for code in sorted(claims.organizations):
            row = members.organization(conn, code)
            member = members.member(conn, code, claims.user_id)
            if row and member:
                found.append(Organization(code, row.name, row.status, member.role, row.created_at))
        return found

    return db.read(work)


def grant(
    db: Database,
    principal: Principal,
    user_id: str,
    role: str,
    *,
    rights: Iterable[str] = (),
    without: Iterable[str] = (),
    dry_run: bool = False,
) -> Member:
    """Give a user a role in the principal's organization, instead of any they had.

    Tokens that the user has already hold what they held: rights gained need a new one.

    Args:
        rights: Rights beside those of the role's template.
        without: Rights of the template that the member shall not have.

    Raises:
        InvalidRequest: No such role or right, one both given and taken, or no user name.
        IllegalTransition: It would leave the organization without an admin.
        PermissionDenied: The principal would give what they do not hold themselves.
    """
    require_user(user_id)
    wanted = _role(role)
    allowed = rights_of_grant(wanted, rights, without)

    def work(conn: Connection[Any]) -> Member:
        members.lock_members(conn, principal.organization_id)
        giver = enter(conn, principal, Operation.GRANT)
        before = members.member(conn, principal.organization_id, user_id)
        require_held(principal, giver, allowed.difference(before.rights if before else ()))
        member = _put(conn, db, principal, user_id, wanted, allowed)
        _keep_an_admin(conn, principal.organization_id)
        _write(conn, db, principal, "grant", before, member)
        return member

    return db.transact(work, dry_run=dry_run)


def revoke(db: Database, principal: Principal, user_id: str, *, dry_run: bool = False) -> Member:
    """End a user's membership; their drafts stay, unseen, until they are members again.

    Raises:
        NotFound: The user is not a member.
        IllegalTransition: It would leave the organization without an admin.
    """

    require_user(user_id)

    def work(conn: Connection[Any]) -> Member:
        members.lock_members(conn, principal.organization_id)
        enter(conn, principal, Operation.REVOKE)
        gone = members.delete_member(conn, principal.organization_id, user_id)
        if gone is None:
            raise NotFound(f"{user_id} is not a member of {principal.organization_id}")
        _keep_an_admin(conn, principal.organization_id)
        _write(conn, db, principal, "revoke", gone, None)
        return gone

    return db.transact(work, dry_run=dry_run)


def list_members(db: Database, principal: Principal) -> list[Member]:
    """The members of the principal's organization, by user id."""

    def work(conn: Connection[Any]) -> list[Member]:
        enter(conn, principal, Operation.LIST_MEMBERS)
        return members.members(conn, principal.organization_id)

    return db.read(work)


def issue_token(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    user_id: str,
    role: str | None = None,
    ttl: timedelta = tokens.DEFAULT_TTL,
) -> IssuedToken:
    """A token for a user of the principal's organization.

    Args:
        role: Narrows the token to a lesser role; a user who is not a member yet becomes one with it.
        ttl: How long it is good; at most 366 days.

    Raises:
        NotFound: Not a member, and no role was given.
        InvalidRequest: The role or the life is not acceptable.
    """
    require_user(user_id)
    if not timedelta(0) < ttl <= MAX_TTL:
        raise InvalidRequest("a token lives longer than nothing and at most 366 days")
    narrowed = _role(role) if role else None

    def work(conn: Connection[Any]) -> Member:
        enter(conn, principal, Operation.ISSUE_TOKEN, writing=True)
        member = members.member(conn, principal.organization_id, user_id)
        if member is None and narrowed is None:
            raise NotFound(
                f"{user_id} is not a member of {principal.organization_id}",
                hint="give --role, or type: pfa user grant first",
            )
        if member is None and narrowed is not None:
            member = _put(conn, db, principal, user_id, narrowed)
            _write(conn, db, principal, "grant", None, member)
        assert member is not None  # noqa: S101 - both ways to None have been closed
        return member

    member = db.transact(work)
    rights = frozenset(map(Right, member.rights))
    if narrowed and not RIGHTS_OF[narrowed] <= rights:
        raise InvalidRequest(
            f"{user_id} is {member.role}: a token cannot hold more",
            hint=f"type first: pfa user grant {user_id} --role {narrowed}",
        )
    if narrowed:
        rights = RIGHTS_OF[narrowed]
    granted = tokens.Grant(narrowed or Role(member.role), rights)
    claims = _new_claims(db, user_id, {principal.organization_id: granted}, ttl)
    token = tokens.sign(claims, tokens.signing_key(settings))
    return IssuedToken(
        token, claims.token_id, user_id, principal.organization_id, granted.role, claims.expires_at
    )


def _add_organization(conn: Connection[Any], db: Database, user: str, code: str, name: str) -> bool:
    if not members.add_organization(conn, code, name, db.clock()):
        return False
    admin = Principal(user, code, RIGHTS_OF[Role.ADMIN], "")
    member = _put(conn, db, admin, user, Role.ADMIN)
    _write(conn, db, admin, "organization", None, member)
    return True


def _require_some_admin(conn: Connection[Any], claims: tokens.Claims) -> None:
    for code, granted in claims.organizations.items():
        member = members.member(conn, code, claims.user_id)
        if member and {Right.MANAGE_SETTINGS} <= granted.rights & set(member.rights):
            return
    raise PermissionDenied(f"{claims.user_id} administers no organization", hint="ask an admin")


def _renew(
    db: Database, settings: Settings, user: str, organization_id: str, ttl: timedelta
) -> datetime:
    """Store a token that holds the organization and those that the stored one held."""
    codes = sorted({organization_id, *_held_before(settings, user)})

    def work(conn: Connection[Any]) -> list[Member]:
        found = [members.member(conn, code, user) for code in codes]
        return [member for member in found if member]

    grants = {
        member.organization_id: tokens.Grant(
            Role(member.role), frozenset(map(Right, member.rights))
        )
        for member in db.read(work)
    }
    claims = _new_claims(db, user, grants, ttl)
    write_secret_file(settings.token_file, tokens.sign(claims, tokens.ensure_key(settings)))
    return claims.expires_at


def _held_before(settings: Settings, user: str) -> set[str]:
    """The organizations of the user's present token, expired or not; none of a token not ours."""
    if settings.token is None:
        return set()
    try:
        claims = tokens.verify(
            settings.token.reveal(), tokens.signing_key(settings), datetime.min.replace(tzinfo=UTC)
        )
    except InvalidToken:
        return set()
    return set(claims.organizations) if claims.user_id == user else set()


def _new_claims(
    db: Database, user: str, grants: Mapping[str, tokens.Grant], ttl: timedelta
) -> tokens.Claims:
    now = db.clock()
    return tokens.Claims(user, str(db.new_id()), now, now + ttl, grants)


def _put(
    conn: Connection[Any],
    db: Database,
    by: Principal,
    user_id: str,
    role: Role,
    rights: Iterable[Right] | None = None,
) -> Member:
    return members.put_member(
        conn,
        by.organization_id,
        user_id,
        role=role,
        rights=RIGHTS_OF[role] if rights is None else rights,
        granted_by=by.user_id,
        at=db.clock(),
    )


def _keep_an_admin(conn: Connection[Any], organization_id: str) -> None:
    if members.count_admins(conn, organization_id) == 0:
        raise IllegalTransition(
            f"{organization_id} would be left without an admin",
            hint="make another member admin first",
        )


def _write(
    conn: Connection[Any],
    db: Database,
    by: Principal,
    action: str,
    before: Member | None,
    after: Member | None,
) -> None:
    def shown(member: Member | None) -> dict[str, Any] | None:
        if member is None:
            return None
        custom = {"rights": sorted(member.rights)} if member.custom else {}
        return {"user": member.user_id, "role": member.role, **custom}

    entry = audit.Entry(str(db.new_id()), before=shown(before), after=shown(after))
    audit.write(conn, by.organization_id, by.user_id, action, db.clock(), [entry])


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise InvalidRequest(f"{name!r} is no role", hint=f"roles: {', '.join(Role)}") from None
