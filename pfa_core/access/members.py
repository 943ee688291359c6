"""Members of an organization, with their roles and rights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pfa_core.access.names import require_person, require_user
from pfa_core.authorization import authorize, denial
from pfa_core.errors import IllegalTransition, InvalidRequest, NotFound, PermissionDenied
from pfa_core.model.audit import Action
from pfa_core.model.ids import PfaId, UserId
from pfa_core.model.member import Member
from pfa_core.model.ordering import MEMBERS
from pfa_core.model.principal import RIGHTS_OF, Principal, Right, Role
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads, writes
from pfa_core.store import audit, members, withdrawal
from pfa_core.store.database import Database

MAX_NAMED = 1000


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
    """Give a user a role in the caller's organization, in place of any they had.

    Tokens that the user already has keep the rights they hold: rights gained need a new token.

    Args:
        rights: Rights beside those of the role's template.
        without: Rights of the template that the member shall not have.

    Raises:
        InvalidRequest: An unknown role or right, one both given and taken, or an invalid user name.
        IllegalTransition: It would leave the organization without an admin.
        PermissionDenied: The caller would give rights that they do not hold.
    """
    require_person(user_id)
    wanted = parse_role(role)
    allowed = _rights_of_grant(wanted, rights, without)
    return _grant(db, principal, UserId(user_id), wanted, allowed, dry_run=dry_run)


@writes(Operation.GRANT)
def _grant(
    tx: Tx, user_id: UserId, role: Role, rights: frozenset[Right], *, dry_run: bool
) -> Member:
    tx = _locked(tx)
    before = members.member(tx.conn, tx.organization_id, user_id)
    gained = rights.difference(before.rights if before else ())
    require_held(tx, gained)
    member = put_member(tx, user_id, role, rights)
    _require_an_admin(tx)
    audit_change(tx, Action.GRANT, before, member)
    return member


def revoke(db: Database, principal: Principal, user_id: str, *, dry_run: bool = False) -> Member:
    """End a user's membership.

    Their drafts are kept, hidden, until they are members again. Changes of theirs that wait to be sent become
    drafts too; what was sent already, or may have been, is settled by the next push.

    Raises:
        NotFound: The user is not a member.
        IllegalTransition: It would leave the organization without an admin.
    """
    require_user(user_id)
    return _revoke(db, principal, UserId(user_id), dry_run=dry_run)


@writes(Operation.REVOKE)
def _revoke(tx: Tx, user_id: UserId, *, dry_run: bool) -> Member:
    tx = _locked(tx)
    ids = withdrawal.waiting(tx.conn, tx.organization_id, user_id)
    if ids:
        withdrawal.withdraw(tx.conn, tx.organization_id, user_id, tx.now())
    removed = members.delete_member(tx.conn, tx.organization_id, user_id)
    if removed is None:
        raise NotFound(f"{user_id} is not a member of {tx.organization_id}")
    _require_an_admin(tx)
    audit_change(tx, Action.REVOKE, removed, None, withdrawn=ids)
    return removed


def _check_list(*, limit: int | None = None, sort: str | None = None) -> None:
    if limit is not None:
        require_limit(limit)
    MEMBERS.parse(sort)


@reads(Operation.LIST_MEMBERS, check=_check_list)
def list_members(tx: Tx, *, limit: int | None = None, sort: str | None = None) -> list[Member]:
    """List the members of the caller's organization.

    Args:
        limit: The maximum number; None for all.
        sort: Other keys than `userId`, see `model.ordering.MEMBERS`.
    """
    return members.members(tx.conn, tx.organization_id, keys=MEMBERS.parse(sort), limit=limit)


def put_member(
    tx: Tx, user_id: UserId, role: Role, rights: Iterable[Right] | None = None
) -> Member:
    """Make the user a member of the caller's organization.

    The member has `rights`, or those of the role's template where they are None.
    """
    return members.put_member(
        tx.conn,
        tx.organization_id,
        user_id,
        role=role,
        rights=RIGHTS_OF[role] if rights is None else rights,
        granted_by=tx.user_id,
        at=tx.now(),
    )


def audit_change(
    tx: Tx,
    action: Action,
    before: Member | None,
    after: Member | None,
    *,
    withdrawn: Sequence[PfaId] = (),
) -> None:
    """Record a changed membership in the audit trail.

    Args:
        withdrawn: Records whose changes became drafts; the first thousand are named.
    """
    shown = _shown(before)
    if shown and withdrawn:
        shown |= {"withdrawn": len(withdrawn), "records": list(withdrawn[:MAX_NAMED])}
    entry = audit.Entry(tx.new_id(), before=shown, after=_shown(after))
    tx.audit(action, [entry])


def parse_role(name: str) -> Role:
    """Find the role of a person by its name.

    Raises:
        InvalidRequest: Unknown, or the role of services.
    """
    people = [role for role in Role if role is not Role.SERVICE]
    if name not in people:
        raise InvalidRequest(f"unknown role: {name!r}", hint=f"roles: {', '.join(people)}")
    return Role(name)


def require_held(tx: Tx, rights: Iterable[Right]) -> None:
    """Refuse a caller who would give rights that they do not hold.

    Without it managing users would imply every right.

    Raises:
        PermissionDenied: The caller lacks one of the rights.
    """
    lacking = sorted(right for right in rights if not tx.holds(right))
    if lacking:
        code, names = tx.organization_id, ", ".join(lacking)
        message = f"{tx.user_id} does not hold {names} in {code} and cannot give it"
        raise PermissionDenied(
            message,
            hint=f"ask an admin of {code}",
            denial=denial(tx.principal, tx.operation, names, message),
        )


def _locked(tx: Tx) -> Tx:
    """Lock the organization's members and authorize the caller again.

    The second authorization reads what is stored under the lock.
    """
    members.lock_members(tx.conn, tx.organization_id)
    return replace(tx, member=authorize(tx.conn, tx.principal, tx.operation))


def _require_an_admin(tx: Tx) -> None:
    if members.count_admins(tx.conn, tx.organization_id) == 0:
        raise IllegalTransition(
            f"{tx.organization_id} would be left without an admin",
            hint="make another member admin first",
        )


def _shown(member: Member | None) -> dict[str, Any] | None:
    if member is None:
        return None
    custom = {"rights": sorted(member.rights)} if member.custom else {}
    return {"user": member.user_id, "role": member.role, **custom}


def _rights_of_grant(role: Role, added: Iterable[str], removed: Iterable[str]) -> frozenset[Right]:
    """Add rights to the role's template and remove others.

    Raises:
        InvalidRequest: An unknown right, one both given and taken, or the right to read taken.
    """
    more, fewer = frozenset(map(_right, added)), frozenset(map(_right, removed))
    if more & fewer:
        raise InvalidRequest(f"{min(more & fewer)} is both given and taken away")
    if Right.READ in fewer:
        raise InvalidRequest(
            "a member without the right to read can do nothing", hint="type: pfa user revoke USER"
        )
    return (RIGHTS_OF[role] | more) - fewer


def _right(name: str) -> Right:
    try:
        return Right(name.strip().replace("-", "_"))
    except ValueError:
        raise InvalidRequest(
            f"unknown right: {name!r}", hint=f"rights: {', '.join(Right)}"
        ) from None
