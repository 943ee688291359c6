"""The file of the stored token, before its content is replaced or deleted."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pfa_core.access.tokens import jwt
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.config.settings import Settings
from pfa_core.errors import IllegalTransition, InvalidToken, IoFailure
from pfa_core.model import shell, token_format
from pfa_core.model.ids import OrganizationId, UserId
from pfa_core.model.secret import looks_like_token


@dataclass(frozen=True, slots=True)
class _Said:
    """What a token says of itself, before its signature is verified."""

    user_id: str
    organizations: Collection[str]
    ends: int


def token_in(path: Path, cure: str) -> str:
    """Return the token that a file holds; '' where it is empty or not there.

    Args:
        cure: What to do where it holds something else, for the hint.

    Raises:
        IllegalTransition: It holds something else, which must not be lost.
        IoFailure: It cannot be read.
    """
    try:
        # What is not a regular file is refused where it is to be replaced; a pipe would be waited for here.
        content = _beginning(path) if path.is_file() else b""
    except OSError as error:
        raise IoFailure(f"{path} cannot be read: {error.strerror}") from error
    text = content.decode(errors="replace").strip()
    if text and not (looks_like_token(text) and len(text.split()) == 1):
        raise IllegalTransition(
            f"{path} holds something else than a token; it is as it was",
            hint=cure,
        )
    return text


def _beginning(path: Path) -> bytes:
    """Read more than any token has, and no more."""
    with path.open("rb") as file:
        return file.read(2 * token_format.MAX_LENGTH)


def stored_token(settings: Settings) -> str:
    """Return the stored token, as `token_in`."""
    cure = f"move it away, or name another file: {_name_another(settings.profile)}"
    return token_in(settings.token_file, cure)


def require_own(
    settings: Settings, ring: Keyring, user: UserId, code: OrganizationId, now: datetime
) -> None:
    """Refuse to replace a stored token that is another user's or installation's.

    One that has ended, or cannot be read, is of no more use. Of another installation is one that no key here signed
    and that does not hold the organization.

    Raises:
        IllegalTransition: It is another one, or no token at all.
        IoFailure: It cannot be read.
    """
    token = stored_token(settings)
    said = _said(token) if token else None
    if said is None or said.ends <= now.timestamp():
        return
    if said.user_id == user and (code in said.organizations or _is_signed_here(token, ring, now)):
        return
    held = ", ".join(sorted(said.organizations)[:3]) or "no organization"
    raise IllegalTransition(
        f"{settings.token_file} holds a token of {said.user_id} for {held}; it is as it was",
        hint=f"to give it up type: pfa auth logout{_of(settings.profile)}; to keep it, name another file:"
        f" {_name_another(settings.profile)}",
    )


def _said(token: str) -> _Said | None:
    """Read what a token says; None: it is not one that anyone could use."""
    with suppress(ValueError, KeyError):
        payload = token_format.read_payload(token_format.split(token)[1])
        held = payload.get("organizations")
        return _Said(
            token_format.text_claim(payload, "sub"),
            frozenset(held) if isinstance(held, dict) else frozenset(),
            token_format.seconds_claim(payload, "exp"),
        )
    return None


def _is_signed_here(token: str, ring: Keyring, now: datetime) -> bool:
    try:
        jwt.verify(token, ring, now)
    except InvalidToken:
        return False
    return True


def _name_another(profile: str | None) -> str:
    return f"pfa config set token_file FILE{_of(profile)}"


def _of(profile: str | None) -> str:
    return f" --profile {shell.word(profile)}" if profile else ""
