"""Organizations that change no more, because they go on in another database."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access.names import require_reason
from pfa_core.authorization import require
from pfa_core.errors import ConfigInvalid, IllegalTransition, LeaseHeld
from pfa_core.model.audit import Action, Direction
from pfa_core.model.ids import OrganizationId, RunId
from pfa_core.model.member import Member, OrganizationStatus
from pfa_core.model.principal import Principal, Right
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, leases, members, rls, transfer
from pfa_core.sync.lease import Lease

_LIFETIME = timedelta(minutes=10)  # of leases that end with the transaction


@writes(Operation.EXPORT_ORGANIZATION, as_owner=True)
def archive(tx: Tx, *, reason: str) -> OrganizationStatus | None:
    """Archive the organization; return what it was before, None where it was archived.

    Changes that are being made are waited for; a pull or a push is not.

    Raises:
        LeaseHeld: A pull or a push is running.
        PermissionDenied: The caller lacks the right `manage_settings`, `manage_users` or `view_financials`.
        ConfigInvalid: The address is not that of the tables' owner.
    """
    require_unbound(tx.conn)
    require_money(tx.principal, tx.member)
    members.lock_members(tx.conn, tx.organization_id)
    members.lock_mirror(tx.conn, tx.organization_id)
    status = status_of(tx.conn, tx.organization_id)
    if status is OrganizationStatus.ARCHIVED:
        return None
    for direction in Direction:
        _require_free(tx, direction)
    _put(tx, status, OrganizationStatus.ARCHIVED, reason)
    return status


@writes(Operation.EXPORT_ORGANIZATION, as_owner=True)
def take_back(tx: Tx, *, status: OrganizationStatus, reason: str) -> None:
    """Take back that the organization was archived, where its export failed."""
    members.lock_mirror(tx.conn, tx.organization_id)
    if status_of(tx.conn, tx.organization_id) is OrganizationStatus.ARCHIVED:
        _put(tx, OrganizationStatus.ARCHIVED, status, reason)


def _check(*, reason: str, dry_run: bool = False) -> None:
    require_reason(reason)


@writes(Operation.REOPEN_ORGANIZATION, as_owner=True, check=_check)
def reopen_organization(tx: Tx, *, reason: str, dry_run: bool = False) -> OrganizationStatus:
    """Reopen an organization that was archived by an export, or is a copy.

    Where it goes on in another database too, both would send the same changes to PEMS.

    Args:
        reason: Why, for the audit trail.

    Returns:
        What it was.

    Raises:
        IllegalTransition: It is active.
        PermissionDenied: The caller lacks the right `manage_settings`.
        ConfigInvalid: The address is not that of the tables' owner.
    """
    require_unbound(tx.conn)
    members.lock_mirror(tx.conn, tx.organization_id)
    status = status_of(tx.conn, tx.organization_id)
    if status is OrganizationStatus.ACTIVE:
        raise IllegalTransition(
            f"the organization {tx.organization_id} is active", hint="type: pfa org list"
        )
    _put(tx, status, OrganizationStatus.ACTIVE, reason)
    return status


def status_of(conn: Connection[Any], organization_id: OrganizationId) -> OrganizationStatus:
    """Read the status of an organization that exists."""
    row = members.organization(conn, organization_id)
    return OrganizationStatus(row.status) if row else OrganizationStatus.ACTIVE


def require_unbound(conn: Connection[Any]) -> None:
    """Refuse a role that does not see all rows of an organization.

    Raises:
        ConfigInvalid: Row-level security applies to it, or it does not own distributed tables, which have none.
    """
    if rls.applies(conn):
        why = f"row-level security keeps {conn.info.user} from all rows of an organization"
    elif rls.is_distributed(conn) and not _owns_tables(conn):
        why = f"{conn.info.user} owns no tables of pfa"
    else:
        return
    raise ConfigInvalid(why, hint="give the owner's address: --database-url ADDRESS")


def _owns_tables(conn: Connection[Any]) -> bool:
    found = rls.role(conn)
    return found is not None and found.is_owner


def require_money(principal: Principal, member: Member) -> None:
    """Refuse a caller who may not see the prices in the file.

    Raises:
        PermissionDenied: The caller lacks the right `view_financials`.
    """
    why = "the file holds prices and costs"
    require(principal, member, Right.VIEW_FINANCIALS, Operation.EXPORT_ORGANIZATION, why=why)


def shown_name(path: str | os.PathLike[str]) -> str:
    """Return the name of a file as the audit trail keeps it."""
    name = os.fsencode(os.path.basename(os.fspath(path))).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:200]


def _put(tx: Tx, before: OrganizationStatus, after: OrganizationStatus, reason: str) -> None:
    transfer.put_status(tx.conn, tx.organization_id, after)
    entry = audit.Entry(
        tx.new_id(), before={"status": before}, after={"status": after}, reason=reason
    )
    tx.audit(Action.CONFIGURE, [entry])


def _require_free(tx: Tx, direction: Direction) -> None:
    """Refuse a run that goes on; the lease of one that has ended is released."""
    lease = Lease(
        organization_id=tx.organization_id,
        direction=direction,
        owner_id=RunId(tx.new_id()),
        user_id=tx.user_id,
        lifetime=_LIFETIME,
    )
    holder = lease.take(tx.conn)
    if holder:
        raise LeaseHeld(
            lease.held_by(holder).message,
            hint="type again when it has ended: pfa sync runs",
        )
    leases.release(tx.conn, tx.organization_id, direction, lease.owner_id)
