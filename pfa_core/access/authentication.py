"""Signing in: from a token to the principal it stands for; keeping and forgetting it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt, keyring
from pfa_core.authorization import require_valid_token
from pfa_core.config.settings import Settings, write_secret_file
from pfa_core.errors import Forbidden, InvalidRequest
from pfa_core.model.ids import utc_now
from pfa_core.model.principal import Principal, Right
from pfa_core.store import members
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What the present token says; `organizations` maps code to role, `rights` code to the rights in their
    order, as they deviate from the role or not."""

    user_id: str
    token_id: str
    organizations: Mapping[str, str]
    rights: Mapping[str, tuple[str, ...]]
    issued_at: datetime
    expires_at: datetime
    source: str


def authenticate(settings: Settings, now: datetime | None = None) -> Principal:
    """The principal of the present token, for the organization asked for or the token's only one.

    Raises:
        Unauthorized: There is no token.
        TokenExpired, InvalidToken: It is no longer or not good.
        Forbidden: It does not hold the organization.
        InvalidRequest: It holds several and none was asked for.
    """
    claims = jwt.present(settings, now or utc_now())
    code = settings.organization or _only(claims)
    if code not in claims.organizations:
        raise Forbidden(
            f"the token of {claims.user_id} does not hold the organization {code!r}",
            hint=f"it holds: {', '.join(sorted(claims.organizations)) or 'none'}; "
            f"a member adds another with: pfa init --org {code}",
        )
    return claims.principal(code)


def login(settings: Settings, token: str, now: datetime | None = None) -> TokenInfo:
    """Verify a token and keep it for later calls, in a file that only the OS user can read."""
    claims = jwt.verify(token.strip(), keyring.load(settings), now or utc_now())
    write_secret_file(settings.token_file, token.strip())
    return _info(claims, str(settings.token_file))


def logout(settings: Settings) -> bool:
    """Forget the kept token; False when there was none."""
    there = settings.token_file.exists()
    settings.token_file.unlink(missing_ok=True)
    return there


def token_info(
    settings: Settings, now: datetime | None = None, *, db: Database | None = None
) -> TokenInfo:
    """What the present token says; with a database, without the organizations that revoked it.

    Raises:
        Unauthorized, TokenExpired: There is no token, or it is no longer good.
        InvalidToken: It is none of ours, or with a database, all its organizations or its key ended it.
    """
    claims = jwt.present(settings, now or utc_now())
    if db:
        claims = db.read(lambda conn: _living(conn, claims))
    return _info(claims, settings.token_source)


def _living(conn: Connection[Any], claims: jwt.Claims) -> jwt.Claims:
    """The claims without the organizations where they have been ended."""
    kept, ended = {}, None
    for code, granted in claims.organizations.items():
        found = members.token_membership(conn, claims.principal(code))
        if found and (found.token_revoked or found.key_ended):
            ended = found
        else:
            kept[code] = granted
    if ended and not kept:
        require_valid_token(ended)
    return replace(claims, organizations=kept)


def _only(claims: jwt.Claims) -> str:
    if len(claims.organizations) != 1:
        raise InvalidRequest(
            "which organization? the token holds several"
            if claims.organizations
            else "the token holds no organization",
            hint=f"give --org or set PFA_ORG: {', '.join(sorted(claims.organizations))}",
        )
    return next(iter(claims.organizations))


def _info(claims: jwt.Claims, source: str) -> TokenInfo:
    grants = dict(sorted(claims.organizations.items()))
    return TokenInfo(
        claims.user_id,
        claims.token_id,
        {code: str(granted.role) for code, granted in grants.items()},
        {
            code: tuple(right.value for right in Right if right in granted.rights)
            for code, granted in grants.items()
        },
        claims.issued_at,
        claims.expires_at,
        source,
    )
