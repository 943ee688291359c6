"""Settings: flag, then environment, then profile, then default."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pfa_core.config import choices
from pfa_core.config.addresses import without_password
from pfa_core.config.environment import environment_text, require_text
from pfa_core.config.profile import PROFILE_KEYS, read_profile
from pfa_core.config.secret_files import (
    HOMELESS,
    OTHERS,
    OTHERS_OF_A_CREDENTIAL,
    read_secret_file,
    write_secret_file,
)
from pfa_core.errors import ConfigInvalid
from pfa_core.model.pooling import Pooling
from pfa_core.model.secret import Secret
from pfa_core.store.embedded.address import DIRECTORY_VARIABLES, default_root

__all__ = [
    "PROFILE_KEYS",
    "Flags",
    "Secret",
    "Settings",
    "os_user",
    "read_secret_file",
    "resolve",
    "write_secret_file",
]
# The origin of an organization and of a profile that a user chose.
CHOICE = "pfa org use"
PROFILE_CHOICE = "pfa profile use"
# What a profile says of the database that it names, and of no other.
ABOUT_DATABASE = ("database_read_url", "database_pooled")
_POOLING = {
    **dict.fromkeys(("1", "yes", "true", "on"), Pooling.YES),
    **dict.fromkeys(("0", "no", "false", "off"), Pooling.NO),
    "prepared": Pooling.PREPARED,
}
CREDENTIAL = "$CREDENTIALS_DIRECTORY/pfa-token"


@dataclass(frozen=True, slots=True)
class Flags:
    """Settings of the command line; None: the environment or the profile decides."""

    org: str | None = None
    profile: str | None = None
    database_url: str | None = field(default=None, repr=False)
    token_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one call.

    `database_url` None means the embedded server in `embedded_dir`; `origin` names the source of each value,
    `profile_source` that of the profile, empty for the default one. `embedded_by` holds the variables that
    name that directory.
    """

    organization: str | None
    profile: str | None
    profile_source: str = ""
    database_url: str | None = field(repr=False)
    embedded_by: Mapping[str, str] = field(repr=False)
    config_dir: Path
    token: Secret | None
    token_source: str
    output: str | None
    pems_field_map: Path | None
    jwt_secret: Secret | None
    origin: Mapping[str, str]
    values: Mapping[str, Any] = field(repr=False)
    database_read_url: str | None = field(default=None, repr=False)
    pooling: Pooling = Pooling.DETECTED
    written_file: Path | None = None

    @property
    def embedded_dir(self) -> Path:
        """Return the directory of the embedded server.

        It is looked up when it is needed: a user without a passwd entry has none.

        Raises:
            ConfigInvalid: See `default_root`.
        """
        return default_root(self.embedded_by)

    @property
    def database_source(self) -> str:
        """Return what named the database, in the words of its hint."""
        return self._source("database_url", "PFA_DATABASE_URL")

    @property
    def read_source(self) -> str:
        """Return what named the replica, in the words of its hint."""
        return self._source("database_read_url", "PFA_DATABASE_READ_URL")

    def _source(self, key: str, variable: str) -> str:
        origin = self.origin.get(key, variable)
        if origin == "flag":
            return "--database-url"
        return f"{key} of {origin}" if origin.startswith("profile ") else origin

    @property
    def token_file(self) -> Path:
        """Return the file of the stored token: the profile's, else the usual one.

        `initialize` and `login` write it, `logout` removes it.
        """
        return _stored(self.values, self.config_dir)

    @property
    def token_home(self) -> Path | None:
        """Return the file of the present token, None where it cannot be replaced."""
        if self.token_source in ("", "PFA_TOKEN", CREDENTIAL):
            return None
        path = _path(self.token_source)
        # A link is kept: its target is replaced.
        return path.resolve() if path.is_file() else None

    @property
    def key_file(self) -> Path:
        """Return the file of the signing key, which `init` writes."""
        return self.config_dir / "jwt.key"


def resolve(
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: bool = False,
) -> Settings:
    """Resolve the settings from flags, environment and configuration file.

    Of the configuration file, the profile counts.

    Args:
        stored: What the user chose counts: the profile (`use_profile`), and the organization
            (`use_organization`) before the profile's.

    Raises:
        ConfigInvalid: A bad configuration file, an unknown profile, a choice that cannot be read, a secret
            file that others can read.
        NotFound: A token file that was named and is not there.
    """
    flags = flags or Flags()
    environ = os.environ if environ is None else environ
    config_dir = config_directory(environ)
    profile_name, profile_source = named_profile(flags, environ, stored=stored)
    profile = _profile(config_dir, profile_name, profile_source)
    lookup = _Lookup(environ, profile, profile_name or "default")
    token, token_source = _token(flags, environ, profile, config_dir)
    secret = environment_text(environ, "PFA_JWT_SECRET")
    database_url = lookup.first(
        "database_url", flags.database_url, ("PFA_DATABASE_URL", "DATABASE_URL")
    )
    read_url, pooling = _about_database(lookup)
    if stored:
        place = choices.place_of(profile_name, database_url, environ)
        lookup.chosen = lambda: choices.chosen(choices.ORGANIZATION, place, environ)
    pems = profile.get("pems", {})
    field_map = environ.get("PFA_PEMS_FIELD_MAP") or pems.get("field_map")
    return Settings(
        organization=lookup.first("organization", flags.org, ("PFA_ORG",)),
        profile=profile_name,
        profile_source=profile_source,
        database_url=database_url,
        embedded_by={name: environ[name] for name in DIRECTORY_VARIABLES if name in environ},
        config_dir=config_dir,
        token=token,
        token_source=token_source,
        output=lookup.first("output", None, ()),
        pems_field_map=_path(field_map) if field_map else None,
        jwt_secret=Secret(secret) if secret else None,
        origin=lookup.origin,
        values=profile,
        database_read_url=read_url,
        pooling=pooling,
        written_file=_written_file(database_url, environ) if read_url else None,
    )


def _written_file(database_url: str | None, environ: Mapping[str, str]) -> Path:
    """Return the file that says how far a replica must have come for this user."""
    digest = sha256(without_password(database_url or "").encode(errors="replace")).hexdigest()
    return Path(choices.choices_file(environ)).with_name(f"written-{digest[:16]}")


def _about_database(lookup: _Lookup) -> tuple[str | None, Pooling]:
    """Look up replica and pooler of the database that was looked up.

    A flag names another database than the variable of the replica is about; what a profile says is about its own.

    Raises:
        ConfigInvalid: Unknown value of the pooler.
    """
    origin = lookup.origin.get("database_url", "")
    if origin and not origin.startswith("profile "):
        lookup = lookup.without(ABOUT_DATABASE)
    read_url = None
    if origin != "flag":
        read_url = lookup.first("database_read_url", None, ("PFA_DATABASE_READ_URL",))
    named = lookup.first("database_pooled", None, ("PFA_DATABASE_POOLED",)) or ""
    pooling = _POOLING.get(named.strip().lower(), Pooling.DETECTED)
    if named and pooling is Pooling.DETECTED:
        raise ConfigInvalid(
            f"invalid value {named!r} of {lookup.origin['database_pooled']}: database_pooled",
            hint="values: yes, no, prepared",
        )
    return read_url, pooling


def named_profile(
    flags: Flags, environ: Mapping[str, str], *, stored: bool
) -> tuple[str | None, str]:
    """Return the name of the profile, and what named it.

    They are None and empty for the default one.

    Args:
        stored: The profile that the user chose counts, after flag and environment.

    Raises:
        ConfigInvalid: The name is not UTF-8, or the choice cannot be read.
    """
    if flags.profile:
        return flags.profile, "--profile"
    if named := environment_text(environ, "PFA_PROFILE"):
        return named, "PFA_PROFILE"
    if stored and (chosen := choices.chosen(choices.PROFILE, (), environ)):
        return chosen, PROFILE_CHOICE
    return None, ""


def protected_profile(
    flags: Flags, environ: Mapping[str, str] | None = None, *, stored: bool = False
) -> str | None:
    """Return the name of the profile if it is protected, else None.

    Raises:
        ConfigInvalid: As from `resolve`.
    """
    environ = os.environ if environ is None else environ
    name, source = named_profile(flags, environ, stored=stored)
    profile = _profile(config_directory(environ), name, source)
    return (name or "default") if profile.get("protected") else None


def _profile(config_dir: Path, name: str | None, source: str) -> Mapping[str, Any]:
    leave = "type: pfa profile use --none" if source == PROFILE_CHOICE else ""
    return read_profile(config_dir / "config.toml", name, otherwise=leave)


def os_user() -> str:
    """Return the name of the operating system's user, the uid where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


class _Lookup:
    def __init__(self, environ: Mapping[str, str], profile: Mapping[str, Any], name: str) -> None:
        self.environ, self.profile, self.name = environ, profile, name
        self.origin: dict[str, str] = {}
        self.chosen: Callable[[], str | None] = lambda: None

    def first(self, key: str, flag: str | None, variables: tuple[str, ...]) -> str | None:
        if flag:
            require_text(flag, key)
            return self._from(key, flag, "flag")
        for variable in variables:
            if found := environment_text(self.environ, variable):
                return self._from(key, found, variable)
        if key == "organization" and (choice := self.chosen()):
            return self._from(key, choice, CHOICE)
        value = self.profile.get(key)
        return self._from(key, value, f"profile {self.name}") if value else None

    def without(self, keys: Collection[str]) -> _Lookup:
        """Return the same, with the same origins, of a profile without some keys."""
        left = {key: value for key, value in self.profile.items() if key not in keys}
        other = _Lookup(self.environ, left, self.name)
        other.origin = self.origin
        return other

    def _from(self, key: str, value: str, origin: str) -> str:
        self.origin[key] = origin
        return value


def _is_there(path: Path) -> bool:
    """Return whether a file exists; not one in a folder that this user cannot enter."""
    try:
        return path.exists()
    except PermissionError:
        return False


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigInvalid(f"{text!r}: unknown home directory") from None


def config_directory(environ: Mapping[str, str]) -> Path:
    """Return the directory of the configuration file, the token and the signing key."""
    configured = environ.get("XDG_CONFIG_HOME")
    if configured and Path(configured).is_absolute():
        return Path(configured) / "pfa"
    home = environ.get("HOME")
    if home:
        return Path(home) / ".config" / "pfa"
    from platformdirs import user_config_path  # a user without HOME is rare

    try:
        return user_config_path("pfa")
    except RuntimeError:
        return HOMELESS / "pfa"


def _credential(environ: Mapping[str, str]) -> Path | None:
    """Return the file of a systemd unit with LoadCredential=pfa-token."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) / "pfa-token" if folder else None


def _stored(profile: Mapping[str, Any], config_dir: Path) -> Path:
    return config_dir / _path(profile.get("token_file") or "token")


def _token(
    flags: Flags, environ: Mapping[str, str], profile: Mapping[str, Any], config_dir: Path
) -> tuple[Secret | None, str]:
    credential = _credential(environ)
    named = flags.token_file or environ.get("PFA_TOKEN_FILE")
    if named:
        beyond = OTHERS_OF_A_CREDENTIAL if _path(named) == credential else OTHERS
        return Secret(read_secret_file(_path(named), beyond=beyond)), named
    if inline := environment_text(environ, "PFA_TOKEN"):
        return Secret(inline.strip()), "PFA_TOKEN"
    if credential and credential.exists():
        text = read_secret_file(credential, beyond=OTHERS_OF_A_CREDENTIAL)
        return Secret(text), CREDENTIAL
    stored = _stored(profile, config_dir)
    if not _is_there(stored):
        return None, ""
    return Secret(read_secret_file(stored)), str(stored)
