"""Authentication: the principal of a token, and the stored token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import jwt, keyring
from pfa_core.access.tokens.stored import stored_token
from pfa_core.authorization import require_valid_token
from pfa_core.config import choices
from pfa_core.config.secret_files import require_replaceable
from pfa_core.config.settings import CHOICE, Settings, write_secret_file
from pfa_core.errors import Forbidden, InvalidRequest, NotFound
from pfa_core.model import shell
from pfa_core.model.ids import OrganizationId, TokenId, UserId, utc_now
from pfa_core.model.principal import Principal, Right
from pfa_core.model.suggest import did_you_mean
from pfa_core.store import members
from pfa_core.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """The content of the present token.

    `organizations` maps code to role, `rights` code to all rights held, in the order of `Right`.
    """

    user_id: UserId
    token_id: TokenId
    organizations: Mapping[OrganizationId, str]
    rights: Mapping[OrganizationId, tuple[str, ...]]
    issued_at: datetime
    expires_at: datetime
    source: str


def authenticate(settings: Settings, now: datetime | None = None) -> Principal:
    """Verify the present token; return its principal for one organization.

    That is the organization of the settings, or the only one that the token holds.

    Raises:
        Unauthorized: There is no token.
        TokenExpired, InvalidToken: It is not valid, or not any more.
        NotFound: It does not hold the organization, but one of a similar name.
        Forbidden: It does not hold the organization.
        InvalidRequest: It holds several and none was asked for.
    """
    claims = jwt.present(settings, now or utc_now())
    code = OrganizationId(settings.organization or _only(claims))
    if code not in claims.organizations:
        held = ", ".join(sorted(claims.organizations)) or "none"
        if settings.origin.get("organization") == CHOICE:
            raise Forbidden(
                f"the token of {claims.user_id} does not hold the chosen organization {code!r}",
                hint=f"type: pfa org use --none; it holds: {held}",
            )
        # A hint that makes the organization would make a misspelling real.
        if like := did_you_mean(code, claims.organizations):
            raise NotFound(
                f"the token of {claims.user_id} holds no organization {code!r}{like}",
                hint=f"it holds: {held}",
            )
        raise Forbidden(
            f"the token of {claims.user_id} does not hold the organization {code!r}",
            hint=f"it holds: {held}; a member adds another with: pfa init --org {shell.word(code)}",
        )
    return claims.principal(code)


def login(settings: Settings, token: str, now: datetime | None = None) -> TokenInfo:
    """Verify a token and store it for later calls, in place of the one before.

    The file can be read by the OS user only.

    Raises:
        TokenExpired, InvalidToken: It is not valid.
        IllegalTransition: The file holds something else than a token.
    """
    claims = jwt.verify(token.strip(), keyring.load(settings), now or utc_now())
    stored_token(settings)
    write_secret_file(settings.token_file, token.strip())
    return _info(claims, str(settings.token_file))


def logout(settings: Settings) -> bool:
    """Delete the stored token; return False when there was none.

    Raises:
        IllegalTransition: The file holds something else than a token.
        IoFailure: Its name is that of a pipe, a device or a folder.
    """
    stored_token(settings)
    there = settings.token_file.exists()
    if there:
        require_replaceable(settings.token_file)
    settings.token_file.unlink(missing_ok=True)
    return there


def use_organization(
    settings: Settings,
    organization_id: str | None,
    *,
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> bool:
    """Store the organization that the user works in, or with None none.

    It is that of the profile and database. Returns whether that changed anything.

    Raises:
        Unauthorized, TokenExpired, InvalidToken, NotFound, Forbidden: As from `authenticate`.
        IoFailure, ConfigInvalid: It cannot be written.
    """
    if organization_id is not None:
        authenticate(replace(settings, organization=organization_id, origin={}), now)
    environ = os.environ if environ is None else environ
    place = choices.place_of(settings.profile, settings.database_url, environ)
    return choices.choose(choices.ORGANIZATION, place, organization_id, environ)


def token_info(
    settings: Settings, now: datetime | None = None, *, db: Database | None = None
) -> TokenInfo:
    """Describe the present token.

    With a database, the organizations that revoked it are left out.

    Raises:
        Unauthorized, TokenExpired: There is no token, or it expired.
        InvalidToken: Not signed here, or with a database: revoked in all organizations, or its key ended.
    """
    claims = jwt.present(settings, now or utc_now())
    if db:
        claims = db.read(lambda conn: _active(conn, claims))
    return _info(claims, settings.token_source)


def _active(conn: Connection[Any], claims: jwt.Claims) -> jwt.Claims:
    """Leave out the organizations where the token was revoked or its key ended."""
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
            hint=f"type: pfa org use CODE, or give --org: {', '.join(sorted(claims.organizations))}",
        )
    return next(iter(claims.organizations))


def _info(claims: jwt.Claims, source: str) -> TokenInfo:
    grants = dict(sorted(claims.organizations.items()))
    return TokenInfo(
        user_id=claims.user_id,
        token_id=claims.token_id,
        organizations={code: str(granted.role) for code, granted in grants.items()},
        rights={
            code: tuple(right.value for right in Right if right in granted.rights)
            for code, granted in grants.items()
        },
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        source=source,
    )
