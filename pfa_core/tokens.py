"""Tokens: signed with HS256, verified before anything else happens. The one importer of PyJWT."""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from pfa_core.errors import ConfigInvalid, InvalidToken, NotFound, TokenExpired, Unauthorized
from pfa_core.model.principal import RIGHTS_OF, Right, Role
from pfa_core.settings import Secret, Settings, read_secret_file, write_secret_file

ALGORITHM = "HS256"
# Strictly base64url in three parts: PyJWT forgives padding, which would give a token many spellings.
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
DEFAULT_TTL = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says of one organization."""

    role: Role
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: who, since when, until when, and what in which organizations."""

    user_id: str
    token_id: str
    issued_at: datetime
    expires_at: datetime
    organizations: Mapping[str, Grant]


def signing_key(settings: Settings) -> Secret:
    """The key that signs and verifies: PFA_JWT_SECRET, else the key file that `init` made.

    Raises:
        ConfigInvalid: There is neither, or the file is empty or readable by others.
    """
    if settings.jwt_secret:
        return settings.jwt_secret
    try:
        text = read_secret_file(settings.key_file)
    except NotFound:
        raise ConfigInvalid(
            "there is no key to verify tokens with",
            hint="type: pfa init --org CODE, or set PFA_JWT_SECRET",
        ) from None
    if not text:
        raise ConfigInvalid(f"the key file {settings.key_file} is empty")
    return Secret(text)


def ensure_key(settings: Settings) -> Secret:
    """The signing key, made now (256 random bits) where there was none."""
    if not settings.jwt_secret and not settings.key_file.exists():
        write_secret_file(settings.key_file, secrets.token_urlsafe(32))
    return signing_key(settings)


def sign(claims: Claims, key: Secret) -> str:
    """The token that carries the claims."""
    payload = {
        "sub": claims.user_id,
        "jti": claims.token_id,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "organizations": {
            code: {"role": str(grant.role), "rights": sorted(grant.rights)}
            for code, grant in claims.organizations.items()
        },
    }
    with _any_key_length():
        return jwt.encode(payload, key.reveal(), algorithm=ALGORITHM)


def verify(token: str, key: Secret, now: datetime) -> Claims:
    """What the token says, if it is ours and still good.

    Raises:
        TokenExpired: It was good once.
        InvalidToken: Malformed, signed with another key or another algorithm, or lacking a claim.
    """
    if not _SHAPE.fullmatch(token):
        raise InvalidToken("the token is malformed", hint=_AGAIN)
    try:
        with _any_key_length():
            payload = jwt.decode(
                token,
                key.reveal(),
                algorithms=[ALGORITHM],
                options={
                    "require": ["sub", "jti", "iat", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
    except jwt.InvalidAlgorithmError:
        raise InvalidToken(
            "the token is signed with another algorithm than HS256", hint=_AGAIN
        ) from None
    except jwt.InvalidSignatureError:
        raise InvalidToken(
            "the token was not signed with this installation's key", hint=_AGAIN
        ) from None
    except jwt.InvalidTokenError as error:
        missing = (
            f": it lacks {error.claim}" if isinstance(error, jwt.MissingRequiredClaimError) else ""
        )
        raise InvalidToken(f"the token is malformed{missing}", hint=_AGAIN) from None
    claims = _read_claims(payload)
    if claims.expires_at <= now:
        raise TokenExpired(
            f"the token expired at {claims.expires_at:%Y-%m-%d %H:%M} UTC", hint=_AGAIN
        )
    return claims


def present(settings: Settings, now: datetime) -> Claims:
    """What the token of the settings says.

    Raises:
        Unauthorized: There is none.
        TokenExpired, InvalidToken: See `verify`.
    """
    if settings.token is None:
        raise Unauthorized(
            "not signed in: there is no token",
            hint="type: pfa init --org CODE, or pfa auth login FILE",
        )
    return verify(settings.token.reveal(), signing_key(settings), now)


_AGAIN = "an admin types: pfa auth issue --user USER --org ORG; then: pfa auth login"


def _read_claims(payload: Mapping[str, object]) -> Claims:
    try:
        organizations = payload.get("organizations")
        if not isinstance(organizations, dict) or not payload["sub"]:
            raise ValueError("organizations")
        return Claims(
            user_id=str(payload["sub"]),
            token_id=str(payload["jti"]),
            issued_at=_instant(payload["iat"]),
            expires_at=_instant(payload["exp"]),
            organizations={
                str(code): Grant(Role(grant["role"]), frozenset(map(Right, grant["rights"])))
                for code, grant in organizations.items()
            },
        )
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        raise InvalidToken("the token's claims are not those of a pfa token", hint=_AGAIN) from None


def _instant(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return datetime.fromtimestamp(value, UTC)


@contextmanager
def _any_key_length() -> Iterator[None]:
    """PyJWT warns of keys under 256 bits at every use; `pfa doctor` tells the operator instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def full_grant(role: Role) -> Grant:
    """A role with the rights of its template."""
    return Grant(role, RIGHTS_OF[role])
