"""Issued tokens: their list, and revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from pfa_core.access.tokens.register import audit_token
from pfa_core.authorization import denial
from pfa_core.errors import InvalidRequest, NotFound, PermissionDenied
from pfa_core.model.audit import Action
from pfa_core.model.ids import TokenId, UserId
from pfa_core.model.principal import Right
from pfa_core.model.rights import Operation
from pfa_core.model.secret import looks_like_token
from pfa_core.operation import Tx, reads, writes
from pfa_core.store import rls, tokens
from pfa_core.store.tokens import TokenRow

MAX_TOKENS = 100_000


def _check_limit(*, limit: int = 1000, **_: object) -> None:
    if not 0 < limit <= MAX_TOKENS:
        raise InvalidRequest(f"a limit is 1 to {MAX_TOKENS:,}")


@reads(Operation.LIST_TOKENS, check=_check_limit)
def list_tokens(
    tx: Tx, *, user_id: str | None = None, ended: bool = False, limit: int = 1000
) -> list[TokenRow]:
    """List the valid tokens of the caller's organization, the newest first.

    Members see their own, and those of all users when they manage users.

    Args:
        user_id: Only this user's.
        ended: Also those that expired or were revoked.

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
    )


def _check_choice(
    *,
    token_ids: Sequence[str] = (),
    user_id: str | None = None,
    everyone: bool = False,
    **_: object,
) -> None:
    if [bool(token_ids), user_id is not None, everyone].count(True) != 1:
        raise InvalidRequest("which tokens? give their ids, a user, or all")
    if any(map(looks_like_token, token_ids)):
        raise InvalidRequest(
            "that is a token, not its id; anyone who saw the command line knows it now",
            hint="pfa auth status shows the id of the present token",
        )


@writes(Operation.REVOKE_TOKENS, as_owner=True, check=_check_choice)
def revoke_tokens(
    tx: Tx,
    *,
    token_ids: Sequence[str] = (),
    user_id: str | None = None,
    everyone: bool = False,
    dry_run: bool = False,
) -> list[TokenRow]:
    """Revoke valid tokens: these, all of a user, or all of the organization.

    An admin revokes a token for their own organization only, and keeps it valid in others that it holds.
    Its owner revokes it in all of them. Tokens that ended before are not in the result.

    Raises:
        InvalidRequest: Not exactly one of the three was given, or a token in place of its id.
        NotFound: The register has no such token of the organization.
        PermissionDenied: Another user's, without the right to manage users.
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
    return sorted(revoked, key=lambda row: (row.issued_at, row.token_id), reverse=True)


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
