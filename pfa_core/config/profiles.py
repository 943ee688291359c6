"""Profiles: list, add, remove, choose."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pfa_core.config import choices
from pfa_core.config.addresses import shown_value
from pfa_core.config.edit import PROFILES, checked_value, open_config
from pfa_core.config.keys import find_key
from pfa_core.config.profile import read_config
from pfa_core.config.settings import Flags, config_directory, named_profile
from pfa_core.errors import ConfigInvalid, IllegalTransition, InvalidRequest, NotFound
from pfa_core.model import shell
from pfa_core.model.suggest import did_you_mean

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileInfo:
    """A profile of the configuration file; `current`: the one that counts now."""

    profile: str
    current: bool
    protected: bool
    organization: str | None
    database_url: str | None
    pems_url: str | None


def list_profiles(
    flags: Flags | None = None, environ: Mapping[str, str] | None = None, *, stored: bool = True
) -> list[ProfileInfo]:
    """List the profiles of the configuration file by name, without passwords.

    Raises:
        ConfigInvalid: The file is not TOML, cannot be read, or others can write it.
    """
    environ = os.environ if environ is None else environ
    named, _ = named_profile(flags or Flags(), environ, stored=stored)
    profiles = _profiles(environ)
    return [_info(name, table, named or DEFAULT) for name, table in sorted(profiles.items())]


def show_profile(
    name: str | None = None,
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: bool = True,
) -> ProfileInfo:
    """Return a profile of the configuration file, without a name the one that counts.

    Raises:
        NotFound: There is no such profile.
        ConfigInvalid: As from `list_profiles`.
    """
    environ = os.environ if environ is None else environ
    named, _ = named_profile(flags or Flags(), environ, stored=stored)
    current = named or DEFAULT
    profiles = {DEFAULT: {}, **_profiles(environ)} if name is None else _profiles(environ)
    name = name or current
    if name not in profiles:
        raise _unknown(name, profiles)
    return _info(name, profiles[name], current)


def add_profile(
    name: str,
    values: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
    *,
    dry_run: bool = False,
) -> ProfileInfo:
    """Add a profile to the configuration file.

    Args:
        values: Its keys and values as typed, as of `set_setting`.

    Raises:
        InvalidRequest: A bad name, an unknown key, a value that it cannot have.
        IllegalTransition: There is such a profile.
        ConfigInvalid, IoFailure: The file cannot be read or written.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"invalid profile name {name!r}: up to 64 letters, digits, dots, dashes, a letter or digit first"
        )
    checked = {key: checked_value(find_key(key), text) for key, text in values.items()}
    environ = os.environ if environ is None else environ
    with open_config(environ) as file:
        if name in file.profiles():
            raise IllegalTransition(
                f"profile {name!r} is in {file.path} already",
                hint=f"type: pfa config set KEY VALUE --profile {shell.word(name)}",
            )
        file.add_table((PROFILES, name))
        for key, value in checked.items():
            file.put((PROFILES, name, *find_key(key).path), value)
        if not dry_run:
            file.save()
        return _info(name, file.profiles()[name], "")


def remove_profile(
    name: str, environ: Mapping[str, str] | None = None, *, dry_run: bool = False
) -> ProfileInfo:
    """Remove a profile, with all of its keys, from the configuration file.

    Where the user chose it (`use_profile`), the choice goes too.

    Raises:
        NotFound: There is no such profile.
        ConfigInvalid, IoFailure: The file cannot be read or written.
    """
    environ = os.environ if environ is None else environ
    with open_config(environ) as file:
        file.require_profile(name)
        info = _info(name, file.profiles()[name], "")
        file.remove((PROFILES, name))
        if not dry_run:
            file.save()
            if choices.chosen(choices.PROFILE, (), environ) == name:
                choices.choose(choices.PROFILE, (), None, environ)
    return info


def use_profile(name: str | None, environ: Mapping[str, str] | None = None) -> bool:
    """Store the profile that the user works with, or with None none.

    Returns whether that changed anything.

    Raises:
        NotFound: There is no such profile.
        ConfigInvalid, IoFailure: A file cannot be read or written.
    """
    environ = os.environ if environ is None else environ
    if name is not None and name not in (known := _profiles(environ)):
        raise _unknown(name, known)
    return choices.choose(choices.PROFILE, (), name, environ)


def _unknown(name: str, known: Mapping[str, Any]) -> NotFound:
    listed = ", ".join(sorted(known)) or "none; type: pfa profile add NAME"
    return NotFound(
        f"profile not found: {name!r}{did_you_mean(name, known)}", hint=f"profiles: {listed}"
    )


def _profiles(environ: Mapping[str, str]) -> dict[str, Any]:
    path = config_directory(environ) / "config.toml"
    found = read_config(path).get(PROFILES, {})
    if not isinstance(found, dict):
        raise ConfigInvalid(f"{path}: [profiles] must be a table")
    return found


def _info(name: str, table: Any, current: str) -> ProfileInfo:
    values = table if isinstance(table, dict) else {}
    pems = values.get("pems", {})
    return ProfileInfo(
        profile=name,
        current=name == current,
        protected=values.get("protected") is True,
        organization=_text("organization", values),
        database_url=_text("database_url", values),
        pems_url=_text("url", pems) if isinstance(pems, dict) else None,
    )


def _text(name: str, table: Mapping[str, Any]) -> str | None:
    """Return as text what should be one; a hand may have written anything."""
    found = shown_value(name, table.get(name))
    return found if found is None or isinstance(found, str) else str(found).lower()
