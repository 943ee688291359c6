"""Refresh of the present token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from psycopg import Connection

from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.register import (
    Minted,
    Order,
    audit_token,
    carried,
    mint,
    require_lifetime,
)
from pfa_core.authorization import authorize, reauthorize
from pfa_core.config.secret_files import PreparedFile, prepare_secret_file
from pfa_core.config.settings import Settings
from pfa_core.errors import Forbidden, InvalidRequest, InvalidToken, PfaError
from pfa_core.model.audit import Action
from pfa_core.model.ids import OrganizationId, TokenId, UserId
from pfa_core.model.rights import Operation
from pfa_core.store import tokens
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshedToken:
    """A token that replaces another.

    `token` is the secret itself, `organizations` maps code to role, `token_file` is where it was stored
    ('': nowhere), `replaces` the id of the one before, `revoked` whether that ended.
    """

    token: str
    token_id: TokenId
    user_id: UserId
    organizations: Mapping[OrganizationId, str]
    expires_at: datetime
    replaces: TokenId
    revoked: bool
    token_file: str

    def __repr__(self) -> str:
        return f"RefreshedToken({self.token_id}, {self.user_id})"


def refresh_token(
    db: Database,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    ttl: timedelta | None = None,
    revoke_old: bool = False,
    keep: bool = True,
) -> RefreshedToken:
    """Replace the present token, which must still be valid.

    The new one holds the same organizations or fewer, with the rights of the member as they are now. A
    narrowed token stays narrowed.

    Args:
        only: The organizations it shall hold; none given: all that the present one holds, but for
            those that revoked it or where its user is not a member any more.
        ttl: Its lifetime, at most that of the present one; None: the same.
        revoke_old: Revoke the present one now.
        keep: Store the new one in the file that the present one came from.

    Raises:
        Unauthorized, TokenExpired, InvalidToken: There is no token, or it is not valid any more.
        Forbidden: It does not hold one of `only`, or its user is not a member there.
        InvalidRequest: Too long a lifetime, or the token did not come from a file that can be replaced.
    """
    claims = jwt.present(settings, db.clock())
    file = _file(settings) if keep else None
    life = _life(claims, ttl)
    require_lifetime(life)
    ring = keyring.load(settings)

    prepared: PreparedFile | None = None

    def work(conn: Connection[Any]) -> Minted:
        nonlocal prepared
        minted = mint(
            conn, db, ring, _order(conn, claims, [OrganizationId(code) for code in only], life)
        )
        if revoke_old:
            _revoke(conn, db, claims)
        # On disk before the transaction ends: a file that cannot be written leaves the old token valid. In its
        # place only after: a token there that the register does not have could not be revoked.
        if file:
            if prepared:
                prepared.discard()
            prepared = prepare_secret_file(file, minted.token)
        return minted

    try:
        with db.administration() as owner:
            minted = owner.transact(work)
        if prepared:
            prepared.publish()
    except PfaError:
        if prepared:
            prepared.discard()
        raise
    return RefreshedToken(
        token=minted.token,
        token_id=minted.claims.token_id,
        user_id=claims.user_id,
        organizations={
            code: str(grant.role) for code, grant in sorted(minted.claims.organizations.items())
        },
        expires_at=minted.claims.expires_at,
        replaces=claims.token_id,
        revoked=revoke_old,
        token_file=str(file) if file else "",
    )


def _file(settings: Settings) -> Path:
    if settings.token_home is None:
        raise InvalidRequest(
            f"the token comes from {settings.token_source}: a new one cannot be kept there",
            hint="add --print to have it printed",
        )
    return settings.token_home


def _life(claims: jwt.Claims, ttl: timedelta | None) -> timedelta:
    """Return a lifetime that cannot grow from token to token."""
    longest = claims.expires_at - claims.issued_at
    if ttl is not None and ttl > longest:
        raise InvalidRequest(
            f"a refreshed token lives no longer than the one before, {_spelled(longest)}",
            hint="an admin issues one for longer: pfa auth issue",
        )
    return longest if ttl is None else ttl


def _spelled(life: timedelta) -> str:
    """Write a duration as `--ttl` takes it: 90d, 8h, 90s."""
    seconds = int(life.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _order(
    conn: Connection[Any], claims: jwt.Claims, only: Sequence[OrganizationId], ttl: timedelta
) -> Order:
    foreign = sorted(set(only) - set(claims.organizations))
    if foreign:
        raise Forbidden(f"the token does not hold {', '.join(foreign)}")
    codes = sorted(only or claims.organizations)
    found = {code: carried(conn, claims, code) for code in codes}
    kept = {code: item for code, item in found.items() if item}
    if not kept or (only and len(kept) < len(codes)):
        _explain_loss(conn, claims, [code for code in codes if code not in kept])
    return Order(
        user_id=claims.user_id,
        grants={code: item.grant for code, item in kept.items()},
        ttl=ttl,
        by=claims.user_id,
        action=Action.TOKEN_REFRESH,
        narrowed=frozenset(code for code, item in kept.items() if item.narrowed),
        replaces=claims.token_id,
        not_before=claims.issued_at,
        holder=claims,
    )


def _explain_loss(
    conn: Connection[Any], claims: jwt.Claims, lost: Sequence[OrganizationId]
) -> NoReturn:
    for code in lost:
        authorize(conn, claims.principal(code), Operation.REFRESH_TOKEN)
    raise InvalidToken("the token holds no organization", hint="pfa auth issue makes one that does")


def _revoke(conn: Connection[Any], db: Database, claims: jwt.Claims) -> None:
    """Revoke the token in each of its organizations."""
    for code in sorted(claims.organizations):
        reauthorize(conn, claims.principal(code), None)
        revoked = tokens.revoke(
            conn, code, by=claims.user_id, at=db.clock(), token_ids=[claims.token_id]
        )
        for row in revoked:
            audit_token(conn, db, claims.user_id, Action.TOKEN_REVOKE, row)
