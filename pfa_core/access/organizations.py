"""Organizations: creation with a first admin, and a list of the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import Connection

from pfa_core.access.members import audit_change
from pfa_core.access.names import require_code, require_name, require_person
from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.register import Minted, mint
from pfa_core.access.tokens.renewal import held_before, renewal
from pfa_core.access.tokens.stored import require_own
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
from pfa_core.masking import mask_for
from pfa_core.model import shell
from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId, UserId
from pfa_core.model.member import Member, OrganizationStatus
from pfa_core.model.ordering import ORGANIZATIONS, in_order
from pfa_core.model.principal import NO_TOKEN, RIGHTS_OF, Principal, Role
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation, needed_for
from pfa_core.operation import Tx
from pfa_core.store import members
from pfa_core.store.database import Database

# Its name in the audit trail; not an Operation, since no right permits it.
INITIALIZE = "initialize"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResult:
    """The files and the organization of a first start.

    `created`: the organization did not exist before.
    """

    organization_id: OrganizationId
    user_id: UserId
    created: bool
    token_file: str
    key_file: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OrgResult:
    """The organization asked for; `created`: it did not exist before."""

    organization_id: OrganizationId
    created: bool
    token_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """An organization of the caller's, their role in it, and its settings.

    Limits of money are None where there are none, and where the caller may see no money.
    """

    organization_id: OrganizationId
    name: str
    status: OrganizationStatus
    role: Role
    created_at: datetime
    currency: str | None
    rate_uom: str
    foreign_currency: str
    max_records: int | None
    max_money: Decimal | None
    max_percent: Decimal | None


_ORDERS: Mapping[str, Callable[[Organization], Any]] = {
    "organization": lambda one: one.organization_id,
    "name": lambda one: one.name,
    "role": lambda one: one.role,
    "status": lambda one: one.status,
    "createdAt": lambda one: one.created_at,
}


def initialize(
    db: Database,
    settings: Settings,
    organization_id: str,
    *,
    name: str = "",
    user_id: str | None = None,
    ttl: timedelta = jwt.DEFAULT_TTL,
) -> InitResult:
    """Create an organization with the OS user as its admin, and sign that user in.

    Idempotent: an organization that exists is kept, the token is renewed. Of one that exists the user has
    to be a member.

    Raises:
        InvalidRequest: An invalid organization code.
        Forbidden: It exists and the user is not a member of it.
        IllegalTransition: The file of the token holds another user's, another installation's, or something else.
    """
    require_code(organization_id)
    require_name(name)
    code, user = OrganizationId(organization_id), UserId(user_id or os_user())
    require_person(user)
    ring = keyring.ensure(settings)
    held = held_before(settings, ring, user)

    def work(conn: Connection[Any]) -> tuple[bool, Minted]:
        created = _create(conn, db, user, code, name)
        member = _require_member(conn, user, code, INITIALIZE)
        require_own(settings, ring, user, code, db.clock())
        return created, mint(conn, db, ring, renewal(conn, held, member, ttl))

    with db.administration() as owner:
        created, minted = owner.transact(work)
    write_secret_file(settings.token_file, minted.token)
    return InitResult(
        organization_id=code,
        user_id=user,
        created=created,
        token_file=str(settings.token_file),
        key_file=str(settings.key_file),
        expires_at=minted.claims.expires_at,
    )


def add_organization(
    db: Database, settings: Settings, organization_id: str, *, name: str = "", dry_run: bool = False
) -> OrgResult:
    """Add an organization with the caller as admin, and renew the stored token for it.

    Raises:
        PermissionDenied: The caller administers no organization yet.
        Forbidden: It exists and the caller is not a member of it.
        IllegalTransition: As from `initialize`, of the file of the stored token.
    """
    require_code(organization_id)
    require_name(name)
    claims = jwt.present(settings, db.clock())
    ring = keyring.load(settings)
    code, user = OrganizationId(organization_id), claims.user_id
    held = held_before(settings, ring, user)

    def work(conn: Connection[Any]) -> tuple[bool, Minted]:
        _require_some_admin(conn, claims)
        created = _create(conn, db, user, code, name)
        member = _require_member(conn, user, code, Operation.ADD_ORGANIZATION)
        require_own(settings, ring, user, code, db.clock())
        return created, mint(conn, db, ring, renewal(conn, held, member, jwt.DEFAULT_TTL))

    with db.administration() as owner:
        created, minted = owner.transact(work, dry_run=dry_run)
    if not dry_run:
        write_secret_file(settings.token_file, minted.token)
    return OrgResult(code, created, str(settings.token_file))


def list_organizations(
    db: Database, settings: Settings, *, limit: int | None = None, sort: str | None = None
) -> list[Organization]:
    """List the organizations of the token that the caller is a member of.

    Args:
        limit: The maximum number; None for all.
        sort: Other keys than `organization`, see `model.ordering.ORGANIZATIONS`.
    """
    if limit is not None:
        require_limit(limit)
    keys = ORGANIZATIONS.parse(sort)
    claims = jwt.present(settings, db.clock())
    return in_order(db.read(lambda conn: _list(conn, claims)), keys, _ORDERS)[:limit]


def _list(conn: Connection[Any], claims: jwt.Claims) -> list[Organization]:
    _require_valid_somewhere(conn, claims)
    found = (_organization(conn, claims.principal(code)) for code in sorted(claims.organizations))
    return [organization for organization in found if organization]


def _organization(conn: Connection[Any], principal: Principal) -> Organization | None:
    """Read the caller's organization; None where the token or the membership ended."""
    membership = members.token_membership(conn, principal)
    if membership is None or membership.token_revoked:
        return None
    reauthorize(conn, principal, None)
    row = members.organization(conn, principal.organization_id)
    if row is None:
        return None
    hidden = mask_for(principal, membership.member).hides
    return Organization(
        organization_id=row.organization_id,
        name=row.name,
        status=row.status,
        role=membership.member.role,
        created_at=row.created_at,
        currency=row.currency,
        rate_uom=row.rate_uom,
        foreign_currency=row.foreign_currency,
        max_records=row.max_records,
        max_money=None if hidden else row.max_money,
        max_percent=None if hidden else row.max_percent,
    )


def _create(
    conn: Connection[Any], db: Database, user: UserId, code: OrganizationId, name: str
) -> bool:
    """Create the organization with the user as its admin; False where it exists."""
    if not members.add_organization(conn, code, name, db.clock()):
        return False
    admin = Principal(
        user_id=user, organization_id=code, rights=RIGHTS_OF[Role.ADMIN], token_id=NO_TOKEN
    )
    member = members.put_member(
        conn,
        code,
        user,
        role=Role.ADMIN,
        rights=admin.rights,
        granted_by=user,
        at=db.clock(),
    )
    tx = Tx(
        conn=conn,
        db=db,
        principal=admin,
        operation=Operation.ADD_ORGANIZATION,
        member=member,
        mask=mask_for(admin, member),
    )
    audit_change(tx, Action.ORGANIZATION, None, member)
    return True


def _require_member(
    conn: Connection[Any], user: UserId, code: OrganizationId, operation: str
) -> Member:
    member = members.member(conn, code, user)
    if member:
        return member
    raise Forbidden(
        f"the organization {code} exists and {user} is not a member of it",
        hint="an admin types: "
        + shell.command("pfa user grant", [user], f"--org {code} --role admin"),
        denial=Denial(
            organization_id=code,
            user_id=user,
            operation=operation,
            permission=", ".join(needed_for(Operation.ADD_ORGANIZATION)),
            reason=f"{user} is not a member of {code}",
        ),
    )


def _require_some_admin(conn: Connection[Any], claims: jwt.Claims) -> None:
    for code in claims.organizations:
        with suppress(NotAllowed, NotFound, InvalidToken):
            authorize(conn, claims.principal(code), Operation.ADD_ORGANIZATION)
            return
    _require_valid_somewhere(conn, claims)
    raise PermissionDenied(f"{claims.user_id} administers no organization", hint="ask an admin")


def _require_valid_somewhere(conn: Connection[Any], claims: jwt.Claims) -> None:
    """Refuse a token that was revoked wherever its user is still a member."""
    found = [
        members.token_membership(conn, claims.principal(code)) for code in claims.organizations
    ]
    memberships = [membership for membership in found if membership]
    if memberships and all(item.token_revoked or item.key_ended for item in memberships):
        require_valid_token(memberships[0])
