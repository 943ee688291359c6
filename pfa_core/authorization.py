"""The door of every operation: is the principal a member with this right, now?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from psycopg import Connection

from pfa_core.errors import (
    Denial,
    Fault,
    FaultCode,
    Forbidden,
    InvalidToken,
    NotFound,
    PermissionDenied,
)
from pfa_core.model.principal import Principal, Right
from pfa_core.model.query import SortKey
from pfa_core.model.record import EDITABLE
from pfa_core.model.rights import MEMBERSHIP, MONEY, NEEDS, Operation, needed_by, needed_for
from pfa_core.store import members, rls
from pfa_core.store.members import Member, TokenMembership


def authorize(
    conn: Connection[Any], principal: Principal, operation: Operation, *, writing: bool = False
) -> Member:
    """Let the principal in, or raise; the audit trail is told of whom it refuses.

    The token's rights and the membership as it stands now must both allow it. With `writing` the
    principal's other writing transactions wait until this one ends; it is for a person's own work,
    which a service has none of.

    Raises:
        NotFound: There is no such organization.
        Forbidden: The principal is no member of it.
        InvalidToken: Their token, or the key that signed it, has been ended.
        PermissionDenied: A member without the right, or a service that would change drafts.
    """
    code, user = principal.organization_id, principal.user_id
    by_token = rls.applies(conn)
    member = (_by_token if by_token else _by_membership)(
        conn, principal, operation, writing=writing
    )
    for right in needed_for(operation):
        require(principal, member, right, operation)
    if writing and principal.is_service:
        message = f"{user} is a service: it has no drafts to change, commit or discard"
        raise PermissionDenied(
            message,
            hint="a member does that with a token of their own",
            denial=Denial(code, user, operation, _listed(operation), message, by=principal),
        )
    return member


def reauthorize(
    conn: Connection[Any],
    principal: Principal,
    operation: Operation | None,
    *,
    writing: bool = False,
    scope: Right | None = None,
) -> None:
    """Let the principal in once more, for a transaction that goes on with what another one has begun:
    only the wall asks anew, where it holds the connection off.

    Args:
        operation: None where membership alone is enough.
        scope: The right whose rows the wall shows, where it is not the operation's own.

    Raises:
        InvalidToken, TokenExpired, Forbidden, PermissionDenied: Ended meanwhile.
    """
    if not rls.applies(conn):
        return
    if operation is None:
        _shown(conn, principal, "member", None, writing=writing)
    elif scope is not None:
        _shown(conn, principal, scope, operation, writing=writing)
    else:
        authorize(conn, principal, operation, writing=writing)


def _by_membership(
    conn: Connection[Any], principal: Principal, operation: Operation, *, writing: bool
) -> Member:
    found = members.token_membership(conn, principal, lock=writing)
    if found is None:
        _explain_absence(conn, principal, operation)
    require_valid_token(found)
    return found.member


def _by_token(
    conn: Connection[Any], principal: Principal, operation: Operation, *, writing: bool
) -> Member:
    """The database reads the token itself, and shows what the scope is about from here on."""
    scope = _scope_of(operation, writing=writing)
    return _shown(conn, principal, scope, operation, writing=writing)


def _scope_of(operation: Operation, *, writing: bool) -> str:
    if operation in MEMBERSHIP:
        return "member"
    right = NEEDS[operation]
    return "commit" if right is Right.SYNC and writing else right


def _shown(
    conn: Connection[Any],
    principal: Principal,
    scope: str,
    operation: Operation | None,
    *,
    writing: bool,
) -> Member:
    member = rls.authorize(conn, principal, scope, lock=writing)
    if member is None:
        _refuse_stranger(principal, operation)
    return member


def require_valid_token(found: TokenMembership) -> None:
    """Refuse a token that was revoked, or whose key was.

    Raises:
        InvalidToken: It was.
    """
    if found.token_revoked or found.key_ended:
        what = "token was revoked" if found.token_revoked else "key that signed the token has ended"
        raise InvalidToken(
            f"the {what}", hint=f"an admin types: pfa auth issue --user {found.member.user_id}"
        )


def holds(principal: Principal, member: Member, right: Right) -> bool:
    """Whether both the token and the membership hold the right."""
    return principal.holds(right, member.rights)


def require(principal: Principal, member: Member, right: Right, operation: Operation) -> None:
    """Refuse those who lack the right.

    Raises:
        PermissionDenied: The principal does.
    """
    if not holds(principal, member, right):
        raise _lacking(principal, [right], operation)


def require_fields(
    principal: Principal, member: Member, fields: Iterable[str], operation: Operation
) -> None:
    """Refuse to let fields be written by those who may not write them.

    Raises:
        PermissionDenied: With each such field in `details`.
    """
    lacking = {
        right: names
        for right, names in needed_by(dict.fromkeys(fields)).items()
        if not holds(principal, member, right)
    }
    if lacking:
        details = [
            Fault("", name, FaultCode.PERMISSION_DENIED, f"takes the right {right}")
            for right, names in lacking.items()
            for name in names
        ]
        raise _lacking(principal, list(lacking), operation, details=details)


def may_write_all(principal: Principal, member: Member) -> bool:
    """Whether there is no field that the principal may not write."""
    return all(holds(principal, member, right) for right in needed_by(EDITABLE))


def require_order(
    principal: Principal, member: Member, sort: Iterable[SortKey], operation: Operation
) -> None:
    """Refuse an order by money to those who may not see it: the order would tell it.

    Raises:
        PermissionDenied: The principal lacks the right `view_financials`.
    """
    if not holds(principal, member, Right.VIEW_FINANCIALS):
        details = [
            Fault("", key.field, FaultCode.PERMISSION_DENIED, "is masked: its order would tell it")
            for key in sort
            if key.field in MONEY
        ]
        if details:
            raise _lacking(principal, [Right.VIEW_FINANCIALS], operation, details=details)


def require_active(conn: Connection[Any], principal: Principal, operation: Operation) -> None:
    """Refuse to exchange anything with PEMS for an organization that is suspended or archived.

    Raises:
        Forbidden: It is.
    """
    code, user = principal.organization_id, principal.user_id
    found = members.organization(conn, code)
    if found and found.status != "active":
        message = f"the organization {code} is {found.status}: nothing is exchanged"
        listed = _listed(operation)
        raise Forbidden(
            message,
            denial=Denial(code, user, operation, listed, message, "sync_skipped", by=principal),
        )


def _lacking(
    principal: Principal,
    rights: list[Right],
    operation: Operation,
    *,
    details: Iterable[Fault] = (),
) -> PermissionDenied:
    code, user = principal.organization_id, principal.user_id
    names = ", ".join(rights)
    message = f"{user} lacks the right{'s' if len(rights) > 1 else ''} {names} in {code}"
    return PermissionDenied(
        message,
        hint=f"ask an admin of {code}; pfa auth status shows the roles of the token",
        details=tuple(details),
        denial=Denial(code, user, operation, names, message, by=principal),
    )


def _explain_absence(conn: Connection[Any], principal: Principal, operation: Operation) -> NoReturn:
    code = principal.organization_id
    if members.organization(conn, code) is None:
        raise NotFound(f"there is no organization {code!r}", hint="type: pfa org list")
    _refuse_stranger(principal, operation)


def _refuse_stranger(principal: Principal, operation: Operation | None) -> NoReturn:
    code, user = principal.organization_id, principal.user_id
    message = f"{user} is not a member of {code}"
    denial = (
        Denial(code, user, operation, _listed(operation), message, by=principal)
        if operation
        else None
    )
    raise Forbidden(
        message,
        hint=f"an admin types: pfa user grant {user} --org {code} --role viewer",
        denial=denial,
    )


def _listed(operation: Operation) -> str:
    return ", ".join(needed_for(operation))
