"""Organizations and their members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.costing import Costing
from pfa_core.model.ids import OrganizationId, UserId
from pfa_core.model.member import Member, OrganizationStatus, TokenMembership
from pfa_core.model.ordering import MEMBERS, SortKey
from pfa_core.model.principal import Principal, Role
from pfa_core.store import rls, writing
from pfa_core.store.adapters import typed_row
from pfa_core.store.ordering import By, order_by

if TYPE_CHECKING:  # a list has no use for it
    from pfa_core.model.guards import Guards

_SQL = sql.statements("members")
_ORDERS = {
    "userId": By("user_id"),
    "role": By('role COLLATE "C"'),
    "grantedAt": By("granted_at"),
    "grantedBy": By('granted_by COLLATE "C"'),
}
_TOKEN_MEMBERSHIP = _SQL["token_membership"].format(locking="")
_TOKEN_MEMBERSHIP_LOCKED = _SQL["token_membership"].format(locking=_SQL["locking"])


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationRow:
    """An organization as stored, with its settings of costs and guards."""

    organization_id: OrganizationId
    name: str
    status: OrganizationStatus
    created_at: datetime
    currency: str | None
    rate_uom: str
    foreign_currency: str
    max_records: int | None
    max_money: Decimal | None
    max_percent: Decimal | None


def organization(conn: Connection[Any], organization_id: OrganizationId) -> OrganizationRow | None:
    """Read the organization; None: unknown."""
    with conn.cursor(row_factory=typed_row(OrganizationRow)) as cursor:
        return cursor.execute(_SQL["organization"], {"organization_id": organization_id}).fetchone()


def is_archived(conn: Connection[Any], organization_id: OrganizationId) -> bool:
    """Return whether the organization is archived: its content changes no more."""
    row = conn.execute(_SQL["is_archived"], {"organization_id": organization_id}).fetchone()
    return bool(row)


def costing(conn: Connection[Any], organization_id: OrganizationId) -> Costing:
    """Read the settings that the organization's costs depend on."""
    row = conn.execute(_SQL["costing"], {"organization_id": organization_id}).fetchone()
    return Costing(*row) if row else Costing()


def guards(conn: Connection[Any], organization_id: OrganizationId) -> tuple[Guards, bool]:
    """Read the most that one commit, or one push, of the organization may change.

    Returns:
        The limits, and whether the organization exchanges with PEMS.
    """
    from pfa_core.model.guards import Guards

    row = conn.execute(_SQL["guards"], {"organization_id": organization_id}).fetchone()
    records, money, percent, exchanges = row or (None, None, None, True)
    found = Guards(
        max_records=records,
        max_money=money,
        max_percent=percent,
        source=f"organization {organization_id}",
    )
    return found, exchanges


def only_currency(conn: Connection[Any], organization_id: OrganizationId) -> str | None:
    """Read the only currency that a pull takes; None: it takes all."""
    row = conn.execute(_SQL["only_currency"], {"organization_id": organization_id}).fetchone()
    return row[0] if row else None


def put_settings(
    conn: Connection[Any],
    organization_id: OrganizationId,
    *,
    currency: str | None,
    rate_uom: str,
    foreign_currency: str,
    guards: Guards,
) -> None:
    """Store the organization's settings of costs and guards."""
    values = {
        "organization_id": organization_id,
        "currency": currency,
        "rate_uom": rate_uom,
        "foreign_currency": foreign_currency,
        "max_records": guards.max_records,
        "max_money": guards.max_money,
        "max_percent": guards.max_percent,
    }
    writing.changed(conn, _SQL, "put_settings", values)


def add_organization(
    conn: Connection[Any], organization_id: OrganizationId, name: str, at: datetime
) -> bool:
    """Add the organization; False: it existed before."""
    values = {"organization_id": organization_id, "name": name, "at": at}
    return conn.execute(_SQL["add_organization"], values).fetchone() is not None


def lock_members(conn: Connection[Any], organization_id: OrganizationId) -> None:
    """Lock an organization's members.

    Concurrent changes then see each other's result.
    """
    conn.execute(_SQL["lock_members"], {"organization_id": organization_id})


def lock_users(
    conn: Connection[Any], organization_id: OrganizationId, users: Sequence[UserId]
) -> None:
    """Block these users' writes until the transaction ends."""
    values = {"organization_id": organization_id, "users": list(users)}
    conn.execute(_SQL["lock_users"], values)


def lock_mirror(conn: Connection[Any], organization_id: OrganizationId) -> None:
    """Lock the organization's mirror against other writers until the transaction ends."""
    conn.execute(_SQL["lock_mirror"], {"organization_id": organization_id})


def member(
    conn: Connection[Any], organization_id: OrganizationId, user_id: UserId, *, lock: bool = False
) -> Member | None:
    """Read the user's membership.

    None: not a member. `lock` blocks the user's other writes.
    """
    values = {"organization_id": organization_id, "user_id": user_id}
    with conn.cursor(row_factory=typed_row(Member)) as cursor:
        return cursor.execute(_SQL["member_locked" if lock else "member"], values).fetchone()


def token_membership(
    conn: Connection[Any], principal: Principal, *, lock: bool = False
) -> TokenMembership | None:
    """Read the principal's membership and the state of their token.

    None: not a member. `lock` blocks the user's other writes. Under row-level security this neither
    authorizes nor locks.
    """
    if rls.applies(conn):
        return rls.token_membership(conn, principal)
    values = {
        "organization_id": principal.organization_id,
        "user_id": principal.user_id,
        "token_id": principal.token_id,
        "key_id": principal.key_id,
        "issued_at": principal.issued_at,
    }
    statement = _TOKEN_MEMBERSHIP_LOCKED if lock else _TOKEN_MEMBERSHIP
    row = conn.execute(statement, values).fetchone()
    return TokenMembership.of(row) if row else None


def members(
    conn: Connection[Any],
    organization_id: OrganizationId,
    *,
    keys: Sequence[SortKey] = (),
    limit: int | None = None,
) -> list[Member]:
    """List members, by user id unless keys say otherwise."""
    order = order_by(keys or MEMBERS.parse(), _ORDERS, "user_id")
    with conn.cursor(row_factory=typed_row(Member)) as cursor:
        values = {"organization_id": organization_id, "limit": limit}
        return cursor.execute(_SQL["members"].format(order=order), values).fetchall()


def put_member(
    conn: Connection[Any],
    organization_id: OrganizationId,
    user_id: UserId,
    *,
    role: Role,
    rights: Iterable[str],
    granted_by: UserId,
    at: datetime,
) -> Member:
    """Make the user a member with exactly this role and these rights."""
    values = {
        "organization_id": organization_id,
        "user_id": user_id,
        "role": role,
        "rights": sorted(rights),
        "granted_by": granted_by,
        "at": at,
    }
    with conn.cursor(row_factory=typed_row(Member)) as cursor:
        row = writing.returned(cursor, _SQL, "put_member", values).fetchone()
    assert row is not None  # noqa: S101 - an upsert returns its row
    return row


def delete_member(
    conn: Connection[Any], organization_id: OrganizationId, user_id: UserId
) -> Member | None:
    """Delete a membership; None: not a member."""
    values = {"organization_id": organization_id, "user_id": user_id}
    with conn.cursor(row_factory=typed_row(Member)) as cursor:
        return writing.returned(cursor, _SQL, "delete_member", values).fetchone()


def tokens_since(
    conn: Connection[Any], organization_id: OrganizationId, user_id: UserId
) -> datetime | None:
    """Read since when issued tokens of the user are good; None: whenever issued."""
    values = {"organization_id": organization_id, "user_id": user_id}
    row = conn.execute(_SQL["tokens_since"], values).fetchone()
    return row[0] if row else None


def end_tokens(
    conn: Connection[Any], organization_id: OrganizationId, user_id: UserId | None, at: datetime
) -> list[UserId]:
    """End all tokens of the user, or of all members, registered or not.

    They are those that were issued until now.

    Returns:
        The members, by name.
    """
    values = {"organization_id": organization_id, "user_id": user_id, "at": at}
    statement = _SQL.for_role("end_tokens", rls=rls.applies(conn))
    return sorted(row[0] for row in conn.execute(statement, values).fetchall())


def count_admins(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Count the admins who can manage the organization's members."""
    row = conn.execute(_SQL["count_admins"], {"organization_id": organization_id}).fetchone()
    return row[0] if row else 0
