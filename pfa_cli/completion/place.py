"""The database, organization and user that a command line is about.

Nothing is opened. The order is that of `config.settings.resolve`, which takes twice as long to load as the
interpreter takes to start; a test compares both. Whatever cannot be read counts as absent.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pfa_core.config.choices import ORGANIZATION, PROFILE, chosen, home_of, place_of

LARGEST = 300_000  # of a token or a configuration file


class Place(NamedTuple):
    """Whose values are offered.

    `database` is the address or directory as the settings have it, `organizations` are those of the token.
    """

    database: str = ""
    organization: str = ""
    user: str = ""
    organizations: tuple[str, ...] = ()


def find(given: Mapping[str, str], environ: Mapping[str, str]) -> Place:
    """Find the place of a command line.

    Args:
        given: The values of --org, --profile, --database-url and --token-file, by option.
    """
    profile = _profile(given, environ)
    address = (
        given.get("--database-url")
        or environ.get("PFA_DATABASE_URL")
        or environ.get("DATABASE_URL")
        or _text(profile, "database_url")
    )
    claims = _claims(given, environ, profile)
    held = claims.get("organizations")
    organizations = tuple(sorted(map(str, held))) if isinstance(held, dict) else ()
    organization = (
        given.get("--org")
        or environ.get("PFA_ORG")
        or _choice(ORGANIZATION, place_of(profile_name(given, environ), address, environ), environ)
        or _text(profile, "organization")
        or (organizations[0] if len(organizations) == 1 else "")
    )
    user = str(claims.get("sub", ""))
    return Place(address or _embedded(environ), organization, user, organizations)


def profile_name(given: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return the name of the profile; empty: the default one."""
    named = given.get("--profile") or environ.get("PFA_PROFILE")
    return named or _choice(PROFILE, (), environ)


def profiles(environ: Mapping[str, str]) -> list[str]:
    """List the profiles of the configuration file."""
    return list(_profiles(environ))


def _choice(kind: str, of: Sequence[str], environ: Mapping[str, str]) -> str:
    try:
        return chosen(kind, of, environ) or ""
    except Exception:
        return ""


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _profile(given: Mapping[str, str], environ: Mapping[str, str]) -> Mapping[str, Any]:
    found = _profiles(environ).get(profile_name(given, environ) or "default")
    return found if isinstance(found, dict) else {}


def _profiles(environ: Mapping[str, str]) -> Mapping[str, Any]:
    content = _content(os.path.join(_config_dir(environ), "config.toml"))
    if not content:
        return {}
    import tomllib

    try:
        found = tomllib.loads(content).get("profiles")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _config_dir(environ: Mapping[str, str]) -> str:
    configured = environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(configured):
        return os.path.join(configured, "pfa")
    return os.path.join(home_of(environ), ".config", "pfa")


def _embedded(environ: Mapping[str, str]) -> str:
    """Return the embedded server's directory, as `embedded.address` finds it."""
    if named := environ.get("PFA_EMBEDDED_DIR"):
        return named
    if os.geteuid() == 0:
        return "/var/lib/pfa"
    xdg = environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(xdg):
        return os.path.join(xdg, "pfa")
    import pwd

    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""
    return os.path.join(home, ".local", "share", "pfa")


def _claims(
    given: Mapping[str, str], environ: Mapping[str, str], profile: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Read what the present token says.

    It is not verified, since nothing is opened by it.
    """
    import binascii
    import json

    body = [*_token(given, environ, profile).split("."), ""][1]
    try:
        padded = body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4)
        claims = json.loads(binascii.a2b_base64(padded))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _token(given: Mapping[str, str], environ: Mapping[str, str], profile: Mapping[str, Any]) -> str:
    if named := given.get("--token-file") or environ.get("PFA_TOKEN_FILE"):
        return _content(os.path.expanduser(named))
    if inline := environ.get("PFA_TOKEN"):
        return inline.strip()
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (text := _content(os.path.join(folder, "pfa-token"))):
        return text
    stored = os.path.expanduser(_text(profile, "token_file") or "token")
    return _content(os.path.join(_config_dir(environ), stored))


def _content(path: str) -> str:
    """Read a small regular file; empty where that fails.

    What is in a pipe is for the command itself.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            return file.read(LARGEST).decode().strip()
    except (OSError, ValueError, TypeError):
        return ""
