"""The key ring: the keys that verify tokens, the first of which signs.

A ring is text, in the key file that `init` makes or in PFA_JWT_SECRET: the signing key on the first
line, and on each further one an older key behind the instant until when it still verifies:

    DdOb3J…
    2026-11-26T04:00:00Z gQ7vX1…

A rotation first puts the new key behind the old one, with the instant NEXT, then changes the database, then
the order in the file: whenever it is killed, the file has every key that the database calls good.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pfa_core.config.secret_files import prepare_secret_file
from pfa_core.config.settings import Secret, Settings, read_secret_file, write_secret_file
from pfa_core.errors import ConfigInvalid, NotFound

_OLDER = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (.+)")
# Of the key that will sign once the database knows it.
NEXT = datetime(9999, 12, 29, tzinfo=UTC)
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
# PyJWT refuses the public half of a key pair: signing with one is a known attack.
_PUBLIC = ("-----BEGIN", "ssh-", "ecdsa-")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key. `not_after`: when it stops verifying, None while no end is set."""

    secret: Secret
    not_after: datetime | None = None

    @property
    def key_id(self) -> str:
        """Return its id, which tokens carry; made of its content, so the same everywhere."""
        return key_id(self.secret)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that verify, never empty; the first signs.

    `file` is where they stand; None: in a variable.
    """

    keys: tuple[SigningKey, ...]
    file: Path | None = field(default=None, compare=False)

    @property
    def signing(self) -> SigningKey:
        """Return the key that signs."""
        return self.keys[0]

    def at(self, now: datetime) -> Sequence[SigningKey]:
        """Return the keys that verify at that time."""
        return [key for key in self.keys if key.not_after is None or key.not_after > now]

    @property
    def next(self) -> SigningKey | None:
        """Return the key that a rotation has put behind the others, None outside of one."""
        return next((key for key in self.keys[1:] if key.not_after == NEXT), None)

    @property
    def known(self) -> Sequence[SigningKey]:
        """Return the keys that the database is to know: all but the next one."""
        return [key for key in self.keys if key.not_after != NEXT]

    def rotated(self, secret: Secret, until: datetime, now: datetime) -> Keyring:
        """Put a new key in front; the one before verifies until then."""
        older = [SigningKey(self.signing.secret, until), *self.known[1:]]
        return Keyring((SigningKey(secret), *Keyring(tuple(older)).at(now)), self.file)

    def followed_by(self, secret: Secret) -> Keyring:
        """Put the next key behind the others."""
        return Keyring((*self.known, SigningKey(secret, NEXT)), self.file)

    def without(self, gone: str) -> Keyring:
        """Remove one of the older keys."""
        older = (key for key in self.keys[1:] if key.key_id != gone)
        return Keyring((self.signing, *older), self.file)


def key_id(secret: Secret) -> str:
    """Return the id of a key: sixteen hexadecimal digits of a hash."""
    return sha256(b"pfa signing key " + secret.reveal().encode()).digest()[:8].hex()


def new_secret() -> Secret:
    """Make a secret of 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def load(settings: Settings) -> Keyring:
    """Load the ring of PFA_JWT_SECRET, else that of the key file.

    Raises:
        ConfigInvalid: There is neither, or the file is not a ring, or others can read it.
    """
    if settings.jwt_secret:
        return _parsed(settings.jwt_secret.reveal(), "PFA_JWT_SECRET")
    try:
        text = read_secret_file(settings.key_file)
    except NotFound:
        raise ConfigInvalid(
            "there is no key to verify tokens with",
            hint="type: pfa init --org CODE, or set PFA_JWT_SECRET",
        ) from None
    ring = _parsed(text, f"the key file {settings.key_file}")
    return replace(ring, file=settings.key_file)


def ensure(settings: Settings) -> Keyring:
    """Load the ring, after making a key where there was none.

    Of several processes at once one makes it, and the others load what that one made.
    """
    if not settings.jwt_secret and not settings.key_file.exists():
        ring = Keyring((SigningKey(new_secret()),))
        prepare_secret_file(settings.key_file, _written(ring)).publish_first()
    return load(settings)


def store(ring: Keyring) -> None:
    """Write the ring to its file."""
    if ring.file is None:
        raise ConfigInvalid("the signing key comes from PFA_JWT_SECRET: it is changed there")
    write_secret_file(ring.file, _written(ring))


def _written(ring: Keyring) -> str:
    lines = [ring.signing.secret.reveal()]
    lines += [
        f"{key.not_after.astimezone(UTC):{_INSTANT}} {key.secret.reveal()}"
        for key in ring.keys[1:]
        if key.not_after
    ]
    return "\n".join(lines)


def _parsed(text: str, source: str) -> Keyring:
    first, *others = text.rstrip("\n").split("\n")
    keys = [SigningKey(_secret(first, source))]
    for number, line in enumerate(others, 2):
        match = _OLDER.fullmatch(line)
        if not match:
            raise ConfigInvalid(
                f"line {number} of {source} is not an older key",
                hint="one key on the first line; on others an instant such as"
                " 2026-11-26T04:00:00Z, a blank and the key that verifies until then",
            )
        keys.append(SigningKey(_secret(match[2], source), _instant(match[1], number, source)))
    return Keyring(tuple(keys))


def _secret(text: str, source: str) -> Secret:
    if not text:
        raise ConfigInvalid(f"{source} is empty")
    if text.startswith("\ufeff"):
        raise ConfigInvalid(
            f"{source} begins with a byte order mark", hint="save it as UTF-8 without one"
        )
    if "\r" in text or "\0" in text:
        raise ConfigInvalid(
            f"{source} holds a carriage return or a NUL, which would be a part of the key",
            hint="save it with line ends of Unix",
        )
    # Bytes of the environment that are not UTF-8 arrive as half surrogates.
    if text.startswith(_PUBLIC) or any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigInvalid(f"{source} does not hold a secret text that can sign")
    return Secret(text)


def _instant(text: str, number: int, source: str) -> datetime:
    try:
        return datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)
    except ValueError:
        raise ConfigInvalid(f"line {number} of {source} has an invalid instant") from None
