"""What a grant gives: a role's template with some rights more or fewer, out of what the giver holds."""

from __future__ import annotations

from collections.abc import Iterable

from pfa_core.errors import Denial, InvalidRequest, PermissionDenied
from pfa_core.guard import holds
from pfa_core.model.principal import RIGHTS_OF, Principal, Right, Role
from pfa_core.model.rights import Operation
from pfa_core.store.members import Member


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
