"""The door of every operation: is the principal a member with this right, now?"""

from __future__ import annotations

from typing import Any, NoReturn

from psycopg import Connection

from pfa_core.errors import Forbidden, NotFound, PermissionDenied
from pfa_core.model.principal import Principal, Right
from pfa_core.store import members


def enter(
    conn: Connection[Any], principal: Principal, right: Right, *, writing: bool = False
) -> members.Member:
    """Let the principal in, or raise.

    The token's rights and the membership as it stands now must both allow it. With `writing` the
    principal's other writing transactions wait until this one ends.

    Raises:
        NotFound: There is no such organization.
        Forbidden: The principal is no member of it.
        PermissionDenied: A member without the right.
    """
    code, user = principal.organization_id, principal.user_id
    member = members.member(conn, code, user, lock=writing)
    if member is None:
        _explain_absence(conn, code, user)
    if right not in principal.rights or right not in member.rights:
        raise PermissionDenied(
            f"{user} lacks the right {right} in {code}",
            hint=f"ask an admin of {code}; pfa auth status shows the roles of the token",
        )
    return member


def require_active(conn: Connection[Any], organization_id: str) -> None:
    """Refuse to exchange anything with PEMS for an organization that is suspended or archived.

    Raises:
        Forbidden: It is.
    """
    found = members.organization(conn, organization_id)
    if found and found.status != "active":
        raise Forbidden(
            f"the organization {organization_id} is {found.status}: nothing is exchanged"
        )


def _explain_absence(conn: Connection[Any], code: str, user: str) -> NoReturn:
    if members.organization(conn, code) is None:
        raise NotFound(f"there is no organization {code!r}", hint="type: pfa org list")
    raise Forbidden(
        f"{user} is not a member of {code}",
        hint=f"an admin types: pfa user grant {user} --org {code} --role viewer",
    )
