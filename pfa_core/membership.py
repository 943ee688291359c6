"""Members, as every change of them is made: named, put down and audited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from pfa_core.errors import InvalidRequest
from pfa_core.model.audit import Action
from pfa_core.model.principal import RIGHTS_OF, SERVICE_PREFIX, Principal, Role
from pfa_core.naming import require_user
from pfa_core.store import audit, members
from pfa_core.store.database import Database
from pfa_core.store.members import Member


def put(
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


def record(
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


def role(name: str) -> Role:
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
