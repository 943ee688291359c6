"""Authorization: the check of membership, token and rights before every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from psycopg import Connection

from pfa_core.errors import (
    Denial,
    DenialAction,
    Fault,
    FaultCode,
    Forbidden,
    InvalidToken,
    NotFound,
    PermissionDenied,
)
from pfa_core.model import shell
from pfa_core.model.member import Member, OrganizationStatus, TokenMembership
from pfa_core.model.ordering import SortKey
from pfa_core.model.principal import Principal, Right
from pfa_core.model.record import EDITABLE
from pfa_core.model.rights import (
    MEMBERSHIP,
    MONEY,
    NEEDS,
    OF_ARCHIVED,
    Operation,
    needed_by,
    needed_for,
)
from pfa_core.store import members, rls
from pfa_core.store.errors import archived

if TYPE_CHECKING:
    from pfa_core.model.guards import Guards
    from pfa_core.model.query import Filters


def authorize(
    conn: Connection[Any], principal: Principal, operation: Operation, *, writing: bool = False
) -> Member:
    """Check that the caller may do the operation; return their membership.

    The token's rights and the present membership must both allow it. With `writing` the caller's other
    writing transactions wait until this one ends; it is for a person's own work, and a service has none.
    The audit trail records whom it refuses.

    Raises:
        NotFound: There is no such organization.
        Forbidden: The caller is not a member of it.
        InvalidToken: The token, or the key that signed it, was revoked.
        PermissionDenied: A member without the right, or a service that would change drafts.
    """
    find = _by_token if rls.applies(conn) else _by_membership
    member = find(conn, principal, operation, writing=writing)
    if writing and principal.is_service:
        message = f"{principal.user_id} is a service: it has no drafts to change, commit or discard"
        raise PermissionDenied(
            message,
            hint="a member does that with a token of their own",
            denial=denial(principal, operation, _listed(operation), message),
        )
    for right in needed_for(operation):
        require(principal, member, right, operation)
    return member


def reauthorize(
    conn: Connection[Any],
    principal: Principal,
    operation: Operation | None,
    *,
    writing: bool = False,
    scope: Right | None = None,
) -> None:
    """Authorize a transaction that continues an operation which another one began.

    Without row-level security nothing is checked: it shows rows to an authorized transaction only.

    Args:
        operation: None where membership alone is enough.
        scope: The right whose rows are shown, where it is not the operation's own.

    Raises:
        InvalidToken, TokenExpired, Forbidden, PermissionDenied: Membership, token or right ended meanwhile.
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
    """Authorize by the token, which the database reads itself.

    From here on the database shows the rows of the scope.
    """
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
        InvalidToken: One of them was revoked.
    """
    if found.token_revoked or found.key_ended:
        what = "token was revoked" if found.token_revoked else "key that signed the token has ended"
        raise InvalidToken(
            f"the {what}",
            hint=f"an admin types: pfa auth issue --user {shell.word(found.member.user_id)}",
        )


def holds(principal: Principal, member: Member, right: Right) -> bool:
    """Return whether both the token and the membership hold the right."""
    return principal.holds(right, member.rights)


def require(
    principal: Principal, member: Member, right: Right, operation: Operation, *, why: str = ""
) -> None:
    """Refuse a caller without the right.

    Args:
        why: What asks for it, where the operation alone does not.

    Raises:
        PermissionDenied: The caller lacks it.
    """
    if not holds(principal, member, right):
        raise _lacking(principal, [right], operation, why=why)


def require_fields(
    principal: Principal, member: Member, fields: Iterable[str], operation: Operation
) -> None:
    """Refuse a caller who may not write all of these fields.

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
            Fault("", name, FaultCode.PERMISSION_DENIED, f"requires the right {right}")
            for right, names in lacking.items()
            for name in names
        ]
        raise _lacking(principal, list(lacking), operation, details=details)


def require_guards(
    principal: Principal, member: Member, guards: Guards, operation: Operation
) -> None:
    """Refuse limits of money by a caller who may see none.

    The verdicts would reveal it.

    Raises:
        PermissionDenied: The caller lacks the right `view_financials`.
    """
    if guards.of_money and not holds(principal, member, Right.VIEW_FINANCIALS):
        reason = "is a limit of money: whether a change is over it would reveal amounts"
        details = [
            Fault("", name, FaultCode.PERMISSION_DENIED, reason)
            for name in ("max_money", "max_percent")
            if getattr(guards, name) is not None
        ]
        raise _lacking(principal, [Right.VIEW_FINANCIALS], operation, details=details)


def require_override(
    principal: Principal, member: Member, operation: Operation, over: Iterable[Fault]
) -> None:
    """Refuse a caller who may not be over a limit.

    Args:
        over: The limits, with numbers that the caller may see.

    Raises:
        PermissionDenied: The caller lacks the right `override_guards`.
    """
    if not holds(principal, member, Right.OVERRIDE_GUARDS):
        raise _lacking(principal, [Right.OVERRIDE_GUARDS], operation, details=over)


def may_write_all(principal: Principal, member: Member) -> bool:
    """Return whether the caller may write every field."""
    return all(holds(principal, member, right) for right in needed_by(EDITABLE))


def require_order(
    principal: Principal,
    member: Member,
    sort: Iterable[SortKey],
    operation: Operation,
    *,
    is_money: Callable[[str], bool] = MONEY.__contains__,
) -> None:
    """Refuse an order by masked fields, which would reveal their values.

    Args:
        is_money: Whether a sort key is masked.

    Raises:
        PermissionDenied: The caller lacks the right `view_financials`.
    """
    if not holds(principal, member, Right.VIEW_FINANCIALS):
        details = [
            Fault(
                "", key.field, FaultCode.PERMISSION_DENIED, "is masked: its order would reveal it"
            )
            for key in sort
            if is_money(key.field)
        ]
        if details:
            raise _lacking(principal, [Right.VIEW_FINANCIALS], operation, details=details)


def require_filters(
    principal: Principal, member: Member, filters: Filters, operation: Operation
) -> None:
    """Refuse an expression over masked fields: matches would reveal their values.

    Raises:
        PermissionDenied: The caller lacks the right `view_financials`.
    """
    if filters.where and not holds(principal, member, Right.VIEW_FINANCIALS):
        details = [
            Fault("", name, FaultCode.PERMISSION_DENIED, "is masked: what matches would reveal it")
            for name in filters.named_in_where()
            if name in MONEY
        ]
        if details:
            raise _lacking(principal, [Right.VIEW_FINANCIALS], operation, details=details)


def require_active(conn: Connection[Any], principal: Principal, operation: Operation) -> None:
    """Refuse an exchange with PEMS for an organization that is suspended or archived.

    Raises:
        Forbidden: It is not active.
    """
    code = principal.organization_id
    found = members.organization(conn, code)
    if found and found.status is not OrganizationStatus.ACTIVE:
        message = f"the organization {code} is {found.status}: nothing is exchanged"
        skipped = denial(principal, operation, _listed(operation), message)
        raise Forbidden(
            message,
            hint=f"to go on here an admin types: pfa org reopen {code} --reason TEXT",
            denial=replace(skipped, action=DenialAction.SYNC_SKIPPED),
        )


def require_open(
    conn: Connection[Any], principal: Principal, operation: Operation, *, writing: bool
) -> None:
    """Refuse a change of an archived organization, after the caller's own lock.

    A statement that began before the lock was got would see the organization as it was then. With `writing` it
    costs no statement of its own: under row-level security the database has asked, else the link asks.

    Raises:
        IllegalTransition: It is archived, and the operation would change its content.
    """
    if operation in OF_ARCHIVED:
        return
    code = principal.organization_id
    if not writing:
        if members.is_archived(conn, code):
            raise archived(code)
    elif not rls.applies(conn):
        from pfa_core.store import audit_chain  # a read has no use for it

        audit_chain.require_open(conn, code)


def denial(principal: Principal, operation: Operation, permission: str, reason: str) -> Denial:
    """Describe a refusal of the caller for the audit trail."""
    return Denial(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        operation=operation,
        permission=permission,
        reason=reason,
        by=principal,
    )


def _lacking(
    principal: Principal,
    rights: list[Right],
    operation: Operation,
    *,
    details: Iterable[Fault] = (),
    why: str = "",
) -> PermissionDenied:
    code, user = principal.organization_id, principal.user_id
    names = ", ".join(rights)
    message = f"{user} lacks the right{'s' if len(rights) > 1 else ''} {names} in {code}"
    message = f"{why}; {message}" if why else message
    return PermissionDenied(
        message,
        hint=f"ask an admin of {code}; pfa auth status shows the roles of the token",
        details=tuple(details),
        denial=denial(principal, operation, names, message),
    )


def _explain_absence(conn: Connection[Any], principal: Principal, operation: Operation) -> NoReturn:
    code = principal.organization_id
    if members.organization(conn, code) is None:
        raise NotFound(f"organization not found: {code!r}", hint="type: pfa org list")
    _refuse_stranger(principal, operation)


def _refuse_stranger(principal: Principal, operation: Operation | None) -> NoReturn:
    code, user = principal.organization_id, principal.user_id
    message = f"{user} is not a member of {code}"
    raise Forbidden(
        message,
        hint="an admin types: "
        + shell.command("pfa user grant", [user], f"--org {code} --role viewer"),
        denial=denial(principal, operation, _listed(operation), message) if operation else None,
    )


def _listed(operation: Operation) -> str:
    return ", ".join(needed_for(operation))
