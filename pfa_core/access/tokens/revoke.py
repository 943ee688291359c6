"""The register of tokens: which live, and how one is ended before its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from psycopg import Connection

from pfa_core.access.tokens.register import record
from pfa_core.authorization import authorize, holds
from pfa_core.errors import Denial, InvalidRequest, NotFound, PermissionDenied
from pfa_core.model.audit import Action
from pfa_core.model.principal import Principal, Right
from pfa_core.model.rights import Operation
from pfa_core.model.secret import looks_like_token
from pfa_core.store import rls, tokens
from pfa_core.store.database import Database
from pfa_core.store.tokens import TokenRow

MAX_TOKENS = 100_000


def list_tokens(
    db: Database,
    principal: Principal,
    *,
    user_id: str | None = None,
    ended: bool = False,
    limit: int = 1000,
) -> list[TokenRow]:
    """The tokens of the principal's organization that are good now, the newest first.

    Members see their own, and everybody's when they manage users.

    Args:
        user_id: Only this user's.
        ended: Those that expired or were revoked too.

    Raises:
        PermissionDenied: Another user's, without the right to manage users.
    """
    if not 0 < limit <= MAX_TOKENS:
        raise InvalidRequest(f"a limit is 1 to {MAX_TOKENS:,}")

    def work(conn: Connection[Any]) -> list[TokenRow]:
        managing = _is_managing(conn, principal, Operation.LIST_TOKENS)
        if not managing and user_id not in (None, principal.user_id):
            _refuse(principal, Operation.LIST_TOKENS)
        return tokens.tokens(
            conn,
            principal.organization_id,
            user_id=user_id if managing else principal.user_id,
            living_at=None if ended else db.clock(),
            limit=limit,
        )

    return db.read(work)


def revoke_tokens(
    db: Database,
    principal: Principal,
    *,
    token_ids: Sequence[str] = (),
    user_id: str | None = None,
    everybody: bool = False,
    dry_run: bool = False,
) -> list[TokenRow]:
    """End living tokens: these, all of a user, or all of everybody.

    An admin ends a token for their own organization alone; others that it holds are not theirs. Whose
    token it is ends it for all of them. Those that ended before are left out of the result.

    Raises:
        InvalidRequest: Not exactly one of the three was given.
        NotFound: The register has no such token of the organization.
        PermissionDenied: Another user's, without the right to manage users.
    """
    if [bool(token_ids), user_id is not None, everybody].count(True) != 1:
        raise InvalidRequest("which tokens? give their ids, a user, or all")

    def work(conn: Connection[Any]) -> list[TokenRow]:
        managing = _is_managing(conn, principal, Operation.REVOKE_TOKENS)
        if not managing and (everybody or user_id not in (None, principal.user_id)):
            _refuse(principal, Operation.REVOKE_TOKENS)
        for token_id in token_ids:
            if looks_like_token(token_id):
                raise InvalidRequest(
                    "that is a token, not its id; whoever saw the command line knows it now",
                    hint="pfa auth status shows the id of the present token",
                )
            row = tokens.token(conn, principal.organization_id, token_id)
            if row is None:
                raise NotFound(
                    f"the register of {principal.organization_id} has no token {token_id!r}",
                    hint="type: pfa auth list --ended",
                )
            if not managing and row.user_id != principal.user_id:
                _refuse(principal, Operation.REVOKE_TOKENS)
        return _revoke(conn, db, principal, list(token_ids) or None, user_id)

    with db.administration() as own:
        return own.transact(work, dry_run=dry_run)


def _revoke(
    conn: Connection[Any],
    db: Database,
    principal: Principal,
    token_ids: list[str] | None,
    user_id: str | None,
) -> list[TokenRow]:
    at, by = db.clock(), principal.user_id
    gone = tokens.revoke(
        conn, principal.organization_id, by=by, at=at, token_ids=token_ids, user_id=user_id
    )
    # One's own token ends wherever it holds.
    own = [row for row in gone if row.user_id == by]
    elsewhere = {code for row in own for code in row.organizations} - {principal.organization_id}
    there = []
    for code in sorted(elsewhere):
        if not rls.admits(conn, replace(principal, organization_id=code)):
            continue  # another organization's wall opens only for a token that holds it
        ids = [row.token_id for row in own if code in row.organizations]
        there += tokens.revoke(conn, code, by=by, at=at, token_ids=ids)
    for row in (*gone, *there):
        record(conn, db, row.organization_id, by, Action.TOKEN_REVOKE, row)
    return sorted(gone, key=lambda row: (row.issued_at, row.token_id), reverse=True)


def _is_managing(conn: Connection[Any], principal: Principal, operation: Operation) -> bool:
    return holds(principal, authorize(conn, principal, operation), Right.MANAGE_USERS)


def _refuse(principal: Principal, operation: Operation) -> NoReturn:
    code, user = principal.organization_id, principal.user_id
    message = f"{user} lacks the right {Right.MANAGE_USERS} in {code}"
    raise PermissionDenied(
        message,
        hint="without it one sees and ends one's own tokens only",
        denial=Denial(code, user, operation, Right.MANAGE_USERS, message, by=principal),
    )
