"""Issued tokens: their list, and revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from pfa_core.access.tokens.register import audit_token
from pfa_core.authorization import denial
from pfa_core.errors import InvalidRequest, Locked, NotFound, PermissionDenied
from pfa_core.model import shell
from pfa_core.model.audit import Action
from pfa_core.model.ids import TokenId, UserId
from pfa_core.model.ordering import TOKENS
from pfa_core.model.principal import Principal, Right
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation
from pfa_core.model.secret import looks_like_token
from pfa_core.operation import Tx, reads, writes
from pfa_core.store import audit, members, rls, tokens
from pfa_core.store.database import Database
from pfa_core.store.tokens import TokenRow


def _check_list(
    *, user_id: str | None = None, limit: int = 1000, sort: str | None = None, **_: object
) -> None:
    _require_user(user_id)
    require_limit(limit)
    TOKENS.parse(sort)


@reads(Operation.LIST_TOKENS, check=_check_list)
def list_tokens(
    tx: Tx,
    *,
    user_id: str | None = None,
    ended: bool = False,
    limit: int = 1000,
    sort: str | None = None,
) -> list[TokenRow]:
    """List the valid tokens of the caller's organization, the newest first.

    Members see their own, and those of all users when they manage users.

    Args:
        user_id: Only this user's.
        ended: Also those that expired or were revoked.
        sort: Other keys than `-issuedAt`, see `model.ordering.TOKENS`.

    Raises:
        PermissionDenied: Another user's, without the right to manage users.
    """
    managing = tx.holds(Right.MANAGE_USERS)
    if not managing and user_id not in (None, tx.user_id):
        _refuse(tx)
    return tokens.tokens(
        tx.conn,
        tx.organization_id,
        user_id=UserId(user_id) if managing and user_id else None if managing else tx.user_id,
        active_at=None if ended else tx.now(),
        limit=limit,
        keys=TOKENS.parse(sort),
    )


def _require_user(user_id: str | None) -> None:
    """Refuse an empty name, as a variable without a value gives.

    All users would be meant by it.
    """
    if user_id == "":
        raise InvalidRequest("`user_id` is empty")


def _check_choice(
    *,
    token_ids: Sequence[str] = (),
    user_id: str | None = None,
    everyone: bool = False,
    **_: object,
) -> None:
    _require_user(user_id)
    ways = [bool(token_ids), user_id is not None, everyone].count(True)
    if ways != 1:
        problem = "ids, `user_id` and `everyone` exclude each other"
        raise InvalidRequest(
            problem if ways else "no tokens are selected",
            hint="give ids (type: pfa auth list), `user_id` or `everyone`",
        )
    if any(map(looks_like_token, token_ids)):
        raise InvalidRequest(
            "that is a token, not its id; anyone who saw the command line knows it now",
            hint="pfa auth status shows the id of the present token",
        )


def revoke_tokens(
    db: Database,
    principal: Principal,
    *,
    token_ids: Sequence[str] = (),
    user_id: str | None = None,
    everyone: bool = False,
    dry_run: bool = False,
) -> list[TokenRow]:
    """Revoke valid tokens: these, all of a user, or all of the organization.

    An admin revokes a token for their own organization only, and keeps it valid in others that it holds.
    Its owner revokes it in all of them. Tokens that ended before are not in the result.

    All of a user or of the organization are also those that the register does not have: whatever was issued until
    now is refused from now on.

    Raises:
        InvalidRequest: Not exactly one of the three was given, or a token in place of its id.
        NotFound: The register has no such token of the organization.
        PermissionDenied: Another user's, without the right to manage users.
        Locked: A member's writing transaction goes on; the registered tokens are revoked, the others of that
            member are not.
    """
    revoked, busy = _revoke(
        db, principal, token_ids=token_ids, user_id=user_id, everyone=everyone, dry_run=dry_run
    )
    if busy:
        raise Locked(
            f"a writing transaction of {', '.join(busy)} goes on: tokens that the register has are revoked, those"
            " that it does not have are not",
            hint=f"type again: pfa auth revoke --user {shell.word(busy[0])}",
        )
    return revoked


@writes(Operation.REVOKE_TOKENS, as_owner=True, check=_check_choice)
def _revoke(
    tx: Tx,
    *,
    token_ids: Sequence[str] = (),
    user_id: str | None = None,
    everyone: bool = False,
    dry_run: bool = False,
) -> tuple[list[TokenRow], list[UserId]]:
    """Revoke the tokens.

    Returns:
        The revoked ones, the newest first, and the members whose unregistered tokens could not be ended.
    """
    managing = tx.holds(Right.MANAGE_USERS)
    if not managing and (everyone or user_id not in (None, tx.user_id)):
        _refuse(tx)
    ids = [TokenId(token_id) for token_id in token_ids]
    for token_id in ids:
        row = _token(tx, token_id)
        if not managing and row.user_id != tx.user_id:
            _refuse(tx)
    at = tx.now()
    revoked = tokens.revoke(
        tx.conn,
        tx.organization_id,
        by=tx.user_id,
        at=at,
        token_ids=ids or None,
        user_id=None if user_id is None else UserId(user_id),
    )
    elsewhere = _revoke_elsewhere(tx, [row for row in revoked if row.user_id == tx.user_id], at)
    for row in (*revoked, *elsewhere):
        audit_token(tx.conn, tx.db, tx.user_id, Action.TOKEN_REVOKE, row)
    busy = [] if ids else _end(tx, None if user_id is None else UserId(user_id), at)
    return sorted(revoked, key=lambda row: (row.issued_at, row.token_id), reverse=True), busy


def _end(tx: Tx, user_id: UserId | None, at: datetime) -> list[UserId]:
    """End all tokens of the user, or of all members, registered or not.

    A member's row is locked while a transaction of theirs writes. Waiting for it would let a member who holds one
    open keep all the others' tokens in force.

    Returns:
        The members that are left out for that.
    """
    ended = members.end_tokens(tx.conn, tx.organization_id, user_id, at)
    shown = {"user": user_id or "*", "issuedUntil": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    tx.audit(Action.TOKEN_REVOKE, [audit.Entry(tx.new_id(), after=shown)])
    asked = [one.user_id for one in members.members(tx.conn, tx.organization_id)]
    return [one for one in asked if user_id in (None, one) and one not in ended]


def _token(tx: Tx, token_id: TokenId) -> TokenRow:
    row = tokens.token(tx.conn, tx.organization_id, token_id)
    if row is None:
        raise NotFound(
            f"the register of {tx.organization_id} has no token {token_id!r}",
            hint="type: pfa auth list --ended",
        )
    return row


def _revoke_elsewhere(tx: Tx, own: Sequence[TokenRow], at: datetime) -> list[TokenRow]:
    """Revoke the caller's own tokens in the other organizations that they hold."""
    codes = {code for row in own for code in row.organizations} - {tx.organization_id}
    revoked: list[TokenRow] = []
    for code in sorted(codes):
        # Row-level security of another organization admits only a token that holds it.
        if rls.admits(tx.conn, replace(tx.principal, organization_id=code)):
            ids = [row.token_id for row in own if code in row.organizations]
            revoked += tokens.revoke(tx.conn, code, by=tx.user_id, at=at, token_ids=ids)
    return revoked


def _refuse(tx: Tx) -> NoReturn:
    message = f"{tx.user_id} lacks the right {Right.MANAGE_USERS} in {tx.organization_id}"
    raise PermissionDenied(
        message,
        hint="without it a member sees and revokes only their own tokens",
        denial=denial(tx.principal, tx.operation, Right.MANAGE_USERS, message),
    )
