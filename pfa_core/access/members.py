"""Members, as every change of them is made: named, put down and audited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from pfa_core.access.names import require_user
from pfa_core.authorization import authorize, holds, reauthorize
from pfa_core.errors import (
    Denial,
    IllegalTransition,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from pfa_core.model.audit import Action
from pfa_core.model.principal import RIGHTS_OF, SERVICE_PREFIX, Principal, Right, Role
from pfa_core.model.rights import Operation
from pfa_core.store import audit, members
from pfa_core.store.database import Database
from pfa_core.store.members import Member


def put_member(
    conn: Connection[Any],
    db: Database,
    by: Principal,
    user_id: str,
    role: Role,
    rights: Iterable[str] | None = None,
) -> Member:
    """Make the user a member of the principal's organization, with the role's rights or these."""
    return members.put_member(
        conn,
        by.organization_id,
        user_id,
        role=role,
        rights=RIGHTS_OF[role] if rights is None else rights,
        granted_by=by.user_id,
        at=db.clock(),
    )


def audit_change(
    conn: Connection[Any],
    db: Database,
    by: Principal,
    action: Action,
    before: Member | None,
    after: Member | None,
) -> None:
    """Write the change into the audit trail."""

    def shown(member: Member | None) -> dict[str, Any] | None:
        if member is None:
            return None
        custom = {"rights": sorted(member.rights)} if member.custom else {}
        return {"user": member.user_id, "role": member.role, **custom}

    entry = audit.Entry(str(db.new_id()), before=shown(before), after=shown(after))
    audit.write(conn, by.organization_id, by.user_id, action, db.clock(), [entry])


def parse_role(name: str) -> Role:
    """The role of a person by its name.

    Raises:
        InvalidRequest: There is none, or it is not one of a person.
    """
    people = [role for role in Role if role is not Role.SERVICE]
    if name not in people:
        raise InvalidRequest(f"{name!r} is no role", hint=f"roles: {', '.join(people)}")
    return Role(name)


def require_person(user_id: str) -> None:
    """Refuse what is no name of a person.

    Raises:
        InvalidRequest: It is not, or a service's.
    """
    require_user(user_id)
    if user_id.startswith(SERVICE_PREFIX):
        raise InvalidRequest(
            f"{user_id!r} is the name of a service",
            hint="type: pfa auth issue --service NAME --right RIGHT",
        )


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
    require_person(user_id)
    wanted = parse_role(role)
    allowed = rights_of_grant(wanted, rights, without)

    def work(conn: Connection[Any]) -> Member:
        reauthorize(conn, principal, Operation.GRANT)
        members.lock_members(conn, principal.organization_id)
        giver = authorize(conn, principal, Operation.GRANT)
        before = members.member(conn, principal.organization_id, user_id)
        require_held(principal, giver, allowed.difference(before.rights if before else ()))
        member = put_member(conn, db, principal, user_id, wanted, allowed)
        _keep_an_admin(conn, principal.organization_id)
        audit_change(conn, db, principal, Action.GRANT, before, member)
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
        reauthorize(conn, principal, Operation.REVOKE)
        members.lock_members(conn, principal.organization_id)
        authorize(conn, principal, Operation.REVOKE)
        gone = members.delete_member(conn, principal.organization_id, user_id)
        if gone is None:
            raise NotFound(f"{user_id} is not a member of {principal.organization_id}")
        _keep_an_admin(conn, principal.organization_id)
        audit_change(conn, db, principal, Action.REVOKE, gone, None)
        return gone

    return db.transact(work, dry_run=dry_run)


def list_members(db: Database, principal: Principal) -> list[Member]:
    """The members of the principal's organization, by user id."""

    def work(conn: Connection[Any]) -> list[Member]:
        authorize(conn, principal, Operation.LIST_MEMBERS)
        return members.members(conn, principal.organization_id)

    return db.read(work)


def _keep_an_admin(conn: Connection[Any], organization_id: str) -> None:
    if members.count_admins(conn, organization_id) == 0:
        raise IllegalTransition(
            f"{organization_id} would be left without an admin",
            hint="make another member admin first",
        )


def rights_of_grant(role: Role, more: Iterable[str], fewer: Iterable[str]) -> frozenset[Right]:
    """The template of the role with some rights more and some fewer.

    Raises:
        InvalidRequest: No such right, one both given and taken, or the right to read taken.
    """
    added, taken = (frozenset(map(_right, names)) for names in (more, fewer))
    if added & taken:
        raise InvalidRequest(f"{min(added & taken)} is both given and taken away")
    if Right.READ in taken:
        raise InvalidRequest(
            "a member without the right to read can do nothing", hint="type: pfa user revoke USER"
        )
    return (RIGHTS_OF[role] | added) - taken


def require_held(
    principal: Principal,
    giver: Member,
    rights: Iterable[Right | str],
    operation: Operation = Operation.GRANT,
) -> None:
    """Nobody gives away what they do not hold; else managing users would mean everything.

    Raises:
        PermissionDenied: The giver lacks one of the rights.
    """
    lacking = sorted(right for right in map(Right, rights) if not holds(principal, giver, right))
    if lacking:
        code, user = principal.organization_id, principal.user_id
        message = f"{user} does not hold {', '.join(lacking)} in {code} and cannot give it"
        denial = Denial(code, user, operation, ", ".join(lacking), message, by=principal)
        raise PermissionDenied(message, hint=f"ask an admin of {code}", denial=denial)


def _right(name: str) -> Right:
    try:
        return Right(name.strip().replace("-", "_"))
    except ValueError:
        raise InvalidRequest(f"{name!r} is no right", hint=f"rights: {', '.join(Right)}") from None
