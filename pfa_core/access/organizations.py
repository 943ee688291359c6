"""Who may come in: organizations and their members."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access import members as membership
from pfa_core.access.names import require_code, require_name
from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import Minted, Order, carried, grant_of, mint
from pfa_core.authorization import authorize, reauthorize, require_valid_token
from pfa_core.config.settings import Settings, os_user, write_secret_file
from pfa_core.errors import (
    Denial,
    Forbidden,
    InvalidToken,
    NotAllowed,
    NotFound,
    PermissionDenied,
)
from pfa_core.model.audit import Action
from pfa_core.model.principal import RIGHTS_OF, Principal, Role
from pfa_core.model.rights import Operation, needed_for
from pfa_core.store import members
from pfa_core.store.database import Database


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
    ttl: timedelta = jwt.DEFAULT_TTL,
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
    membership.require_person(user)
    ring = keyring.ensure(settings)

    def work(conn: Connection[Any]) -> tuple[bool, Minted]:
        created = _add_organization(conn, db, user, organization_id, name)
        if not created and members.member(conn, organization_id, user) is None:
            raise Forbidden(
                f"the organization {organization_id} exists and {user} is not a member of it",
                hint=f"an admin types: pfa user grant {user} --org {organization_id} --role admin",
                denial=_stranger(organization_id, user, "initialize"),
            )
        return created, _renew(conn, db, ring, settings, (user, organization_id, ttl))

    with db.administration() as own:
        created, minted = own.transact(work)
    write_secret_file(settings.token_file, minted.token)
    return InitResult(
        organization_id,
        user,
        created,
        str(settings.token_file),
        str(settings.key_file),
        minted.claims.expires_at,
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
    claims = jwt.present(settings, db.clock())
    ring = keyring.load(settings)
    order = (claims.user_id, organization_id, jwt.DEFAULT_TTL)

    def work(conn: Connection[Any]) -> tuple[bool, Minted]:
        _require_some_admin(conn, claims)
        created = _add_organization(conn, db, claims.user_id, organization_id, name)
        if not created and members.member(conn, organization_id, claims.user_id) is None:
            raise Forbidden(
                f"the organization {organization_id} exists and is not yours",
                denial=_stranger(organization_id, claims.user_id, Operation.ADD_ORGANIZATION),
            )
        return created, _renew(conn, db, ring, settings, order)

    with db.administration() as own:
        created, minted = own.transact(work, dry_run=dry_run)
    if not dry_run:
        write_secret_file(settings.token_file, minted.token)
    return OrgResult(organization_id, created, str(settings.token_file))


def list_organizations(db: Database, settings: Settings) -> list[Organization]:
    """The organizations that the token holds and the caller is a member of, by code."""
    claims = jwt.present(settings, db.clock())

    def work(conn: Connection[Any]) -> list[Organization]:
        _require_living(conn, claims)
        found = []
        for code in sorted(claims.organizations):
            entrance = members.token_membership(conn, claims.principal(code))
            if entrance is None or entrance.token_revoked:
                continue
            reauthorize(conn, claims.principal(code), None)
            row = members.organization(conn, code)
            if row:
                role = entrance.member.role
                found.append(Organization(code, row.name, row.status, role, row.created_at))
        return found

    return db.read(work)


def _add_organization(conn: Connection[Any], db: Database, user: str, code: str, name: str) -> bool:
    if not members.add_organization(conn, code, name, db.clock()):
        return False
    admin = Principal(user, code, RIGHTS_OF[Role.ADMIN], "")
    member = membership.put_member(conn, db, admin, user, Role.ADMIN)
    membership.audit_change(conn, db, admin, Action.ORGANIZATION, None, member)
    return True


def _stranger(organization_id: str, user: str, operation: str) -> Denial:
    rights = ", ".join(needed_for(Operation.ADD_ORGANIZATION))
    reason = f"{user} is not a member of {organization_id}"
    return Denial(organization_id, user, operation, rights, reason)


def _require_some_admin(conn: Connection[Any], claims: jwt.Claims) -> None:
    for code in claims.organizations:
        with suppress(NotAllowed, NotFound, InvalidToken):
            authorize(conn, claims.principal(code), Operation.ADD_ORGANIZATION)
            return
    _require_living(conn, claims)
    raise PermissionDenied(f"{claims.user_id} administers no organization", hint="ask an admin")


def _require_living(conn: Connection[Any], claims: jwt.Claims) -> None:
    """Refuse a token that was ended wherever its user is still a member."""
    found = [
        members.token_membership(conn, claims.principal(code)) for code in claims.organizations
    ]
    entrances = [entrance for entrance in found if entrance]
    if entrances and all(entrance.token_revoked or entrance.key_ended for entrance in entrances):
        require_valid_token(entrances[0])


def _renew(
    conn: Connection[Any],
    db: Database,
    ring: Keyring,
    settings: Settings,
    order: tuple[str, str, timedelta],
) -> Minted:
    """A token of a user that holds the organization, and those that the stored one held."""
    user, organization_id, ttl = order
    held = _held_before(settings, ring, user)
    kept = {code: carried(conn, held, code) for code in held.organizations} if held else {}
    grants = {code: found[0] for code, found in kept.items() if found}
    narrowed = {code for code, found in kept.items() if found and found[1]} - {organization_id}
    member = members.member(conn, organization_id, user)
    assert member is not None  # noqa: S101 - its callers saw to that
    grants[organization_id] = grant_of(member)
    return mint(conn, db, ring, Order(user, grants, ttl, user, narrowed=frozenset(narrowed)))


def _held_before(settings: Settings, ring: Keyring, user: str) -> jwt.Claims | None:
    """What the user's present token says, expired or not; None without one of ours."""
    if settings.token is None:
        return None
    try:
        claims = jwt.verify(settings.token.reveal(), ring, datetime.min.replace(tzinfo=UTC))
    except InvalidToken:
        return None
    return claims if claims.user_id == user else None
