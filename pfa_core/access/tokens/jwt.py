"""Tokens signed with HS256. The one importer of PyJWT."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hmac import compare_digest, digest
from typing import Any

from pfa_core.access.tokens import keyring
from pfa_core.access.tokens.keyring import Keyring, SigningKey
from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidRequest, InvalidToken, TokenExpired, Unauthorized
from pfa_core.model import token_format
from pfa_core.model.ids import OrganizationId, TokenId, UserId
from pfa_core.model.principal import RIGHTS_OF, Principal, Right, Role
from pfa_core.model.secret import Secret

ALGORITHM = "HS256"
DEFAULT_TTL = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Grant:
    """The role and the rights that a token holds in one organization."""

    role: Role
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The content of a token: user, lifetime, and grants by organization.

    `key_id` names the key that verified it, `token` is the token itself where there is one.
    """

    user_id: UserId
    token_id: TokenId
    issued_at: datetime
    expires_at: datetime
    organizations: Mapping[OrganizationId, Grant]
    key_id: str = field(default="", compare=False)
    token: Secret | None = field(default=None, compare=False, repr=False)

    def principal(self, organization_id: OrganizationId) -> Principal:
        """Make the principal for one of the token's organizations.

        Raises:
            KeyError: It does not hold that one.
        """
        rights = self.organizations[organization_id].rights
        return Principal(
            user_id=self.user_id,
            organization_id=organization_id,
            rights=rights,
            token_id=self.token_id,
            key_id=self.key_id,
            issued_at=self.issued_at,
            token=self.token,
        )


def sign(
    claims: Claims,
    ring: Keyring,
    *,
    narrowed: Collection[OrganizationId] = (),
    replaces: TokenId | None = None,
) -> str:
    """Sign the claims with the ring's first key.

    Args:
        narrowed: The organizations in which it holds less than its member; for the register alone, which takes
            each value from the token.
        replaces: The id of the token that it is refreshed from; for the register too.

    Raises:
        InvalidRequest: So many organizations that no verifier would accept it.
    """
    payload = {
        "sub": claims.user_id,
        "jti": claims.token_id,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "organizations": {
            code: {
                "role": str(grant.role),
                "rights": sorted(grant.rights),
                **({"narrowed": True} if code in narrowed else {}),
            }
            for code, grant in claims.organizations.items()
        },
        **({"replaces": replaces} if replaces else {}),
    }
    # To sign is rare, and PyJWT takes longer to load than a token to verify, which every command does.
    import jwt

    key = ring.signing
    # PyJWT warns of keys under 256 bits at every use; `pfa doctor` reports such a key once.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        token = jwt.encode(payload, key.secret.reveal(), ALGORITHM, headers={"kid": key.key_id})
    if len(token) > token_format.MAX_LENGTH:
        raise InvalidRequest("a token cannot hold so many organizations")
    return token


def verify(token: str, ring: Keyring, now: datetime, source: str = "the input") -> Claims:
    """Verify a token: its signature by a key of the ring, its form, its lifetime.

    The database verifies every token by the same rules itself (`pfa_verify_token`). One algorithm is computed,
    whatever the header says.

    Args:
        source: Where the token comes from, for the message that more than the token is there.

    Raises:
        TokenExpired: It was valid once.
        InvalidToken: Malformed, signed with another key or another algorithm, or lacking a claim.
    """
    try:
        written, content, signature = token_format.split(token)
        header = token_format.read_header(written)
    except ValueError:
        raise _malformed(token, source) from None
    if header.get("alg") != ALGORITHM or header.get("typ", "JWT") != "JWT":
        raise InvalidToken("the token is signed with another algorithm than HS256", hint=_AGAIN)
    key = _signer(token.rpartition(".")[0], signature, ring.at(now), header.get("kid"))
    claims = _read_claims(content, key, now)
    if claims.expires_at <= now:
        raise TokenExpired(
            f"the token expired at {claims.expires_at:%Y-%m-%d %H:%M} UTC", hint=_AGAIN
        )
    return replace(claims, token=Secret(token))


def present(settings: Settings, now: datetime) -> Claims:
    """Verify the token of the settings.

    Raises:
        Unauthorized: There is no token.
        TokenExpired, InvalidToken: See `verify`.
    """
    if settings.token is None:
        raise Unauthorized(
            "not signed in: there is no token",
            hint="type: pfa init --org CODE, or pfa auth login FILE",
        )
    ring, source = keyring.load(settings), settings.token_source
    try:
        return verify(settings.token.reveal(), ring, now, source)
    except (InvalidToken, TokenExpired) as error:
        if source in error.message:
            raise
        raise type(error)(f"{error.message} ({source})", hint=error.hint) from None


# What copying adds to a token, each with how a message says it.
_ADDED = (
    (re.compile("\ufeff"), "begins with a byte order mark"),
    (re.compile(r"(authorization:\s*)?bearer\b", re.IGNORECASE), 'begins with "Bearer"'),
    (re.compile("""['"`\u2018-\u201f]"""), "is in quotes"),
    (re.compile(r"\w+="), "begins with the name of a variable"),
    (re.compile(r"(?=\S*\s)"), "holds a blank or a line end"),
)


def _malformed(token: str, source: str) -> InvalidToken:
    for added, words in _ADDED:
        if added.match(token):
            return InvalidToken(
                f"the token is malformed: {source} {words}",
                hint="a token is three words of letters and digits with a point between them, and"
                " nothing else",
            )
    return InvalidToken("the token is malformed", hint=_AGAIN)


_AGAIN = "type: pfa init --org ORG; or an admin: pfa auth issue --user USER, then: pfa auth login"


def _signer(
    signed: str, signature: bytes, ring: Sequence[SigningKey], key_id: str | None
) -> SigningKey:
    """Find the key that signed a text.

    It is the one that the token names, or any if it names none.

    Raises:
        InvalidToken: None of them did.
    """
    for key in ring:
        if key_id is None or key.key_id == key_id:
            made = digest(key.secret.reveal().encode(), signed.encode(), "sha256")
            if compare_digest(made, signature):
                return key
    raise InvalidToken("the token was not signed with a key of this installation", hint=_AGAIN)


_REQUIRED = ("sub", "jti", "iat", "exp")


def _read_claims(content: bytes, key: SigningKey, now: datetime) -> Claims:
    try:
        payload = token_format.read_payload(content)
        _require_claims(payload)
        if "aud" in payload:
            raise ValueError("aud")
        if "nbf" in payload and _instant(payload, "nbf") > now:
            raise ValueError("nbf")
        return Claims(
            user_id=UserId(token_format.text_claim(payload, "sub")),
            token_id=TokenId(token_format.text_claim(payload, "jti")),
            issued_at=_instant(payload, "iat"),
            expires_at=_instant(payload, "exp"),
            organizations={
                code: _read_grant(grant) for code, grant in payload["organizations"].items()
            },
            key_id=key.key_id,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidToken("the token's claims are not those of a pfa token", hint=_AGAIN) from None


def _require_claims(payload: Mapping[str, Any]) -> None:
    for name in _REQUIRED:
        if payload.get(name) is None:
            raise InvalidToken(f"the token is malformed: it lacks {name}", hint=_AGAIN)


def _read_grant(content: Mapping[str, Any]) -> Grant:
    role, rights = content["role"], content["rights"]
    if not isinstance(role, str) or not isinstance(rights, list):
        raise TypeError("grant")
    return Grant(Role(role), frozenset(map(Right, rights)))


def _instant(payload: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromtimestamp(token_format.seconds_claim(payload, name), UTC)


def full_grant(role: Role) -> Grant:
    """Return the role with the rights of its template."""
    return Grant(role, RIGHTS_OF[role])
