"""Renewal of the token that the user of an embedded server made for themselves.

`pfa init` makes it anew at any time, and asks for nothing but the operating system's user: what is renewed here is
what that user could type. On another server a token ends when its admin said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from pfa_core.access.tokens import jwt, keyring
from pfa_core.config.secret_files import write_secret_file
from pfa_core.config.settings import Secret, Settings, os_user
from pfa_core.errors import PfaError
from pfa_core.model.ids import utc_now
from pfa_core.store.database import Database

# Of a token's lifetime: renewed before it ends, so that a long command does not outlive it.
_LEFT = 4


def keep_signed_in(
    settings: Settings, open_database: Callable[[], Database], now: datetime | None = None
) -> Settings:
    """Renew the stored token where it is its user's own, and has ended or is about to.

    Own is a token that an embedded server's user has for themselves as an admin, with the lifetime and rights that
    `initialize` gives. One that was narrowed, limited or revoked, or whose key has ended, is not renewed; nor is
    one that a variable, an option or a profile names.

    Args:
        open_database: Called where the token is to be renewed.

    Returns:
        The settings with the new token, else as they were: where it cannot be renewed, authentication says why.
    """
    now = now or utc_now()
    claims = _due(settings, now)
    if claims is None:
        return settings
    try:
        # Loaded when it is needed: every command asks, and one in six hours renews.
        from pfa_core.access.tokens.own_order import renew

        minted = renew(open_database(), settings, claims)
        if minted is None or settings.token_home is None:
            return settings
        write_secret_file(settings.token_home, minted.token)
    except PfaError:
        return settings
    return replace(settings, token=Secret(minted.token))


def _due(settings: Settings, now: datetime) -> jwt.Claims | None:
    """Return the claims of a token that is to be renewed; None: it is not."""
    stored = settings.token_source == str(settings.config_dir / "token")
    if settings.database_url is not None or settings.token is None or not stored:
        return None
    try:
        ring = keyring.load(settings)
        claims = jwt.verify(settings.token.reveal(), ring, datetime.min.replace(tzinfo=UTC))
        own = claims.user_id == os_user()
    except PfaError:
        return None
    life = claims.expires_at - claims.issued_at
    is_due = claims.expires_at - now < life / _LEFT
    return claims if own and is_due and life == jwt.DEFAULT_TTL else None
