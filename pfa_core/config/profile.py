"""Profiles of the configuration file."""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pfa_core.config.secret_files import open_judged
from pfa_core.errors import ConfigInvalid, Fault
from pfa_core.model.toml_files import read_toml

PROFILE_KEYS = (
    "organization",
    "database_url",
    "database_read_url",
    "database_pooled",
    "token_file",
    "output",
    "protected",
    "guard",
    "pems",
)
_KINDS = {"pems": dict, "guard": dict, "protected": bool}  # all others are texts


def read_profile(path: Path, name: str | None, *, otherwise: str = "") -> Mapping[str, Any]:
    """Read one profile of the configuration file.

    Without a name it is the default one, which may be missing.

    Args:
        otherwise: The hint where there is no such profile, in place of the names of those there are.

    Raises:
        ConfigInvalid: A bad file, an unknown profile, or a file that others can write.
    """
    config = read_config(path)
    try:
        return _chosen(path, config, name, otherwise)
    except ConfigInvalid as first:
        raise _all_of(first, config, name or "default") from None


def _all_of(first: ConfigInvalid, config: Mapping[str, Any], name: str) -> ConfigInvalid:
    """Add the other faults of the chosen profile and of the file's sections."""
    profiles = config.get("profiles", {})
    if isinstance(profiles, dict):
        profiles = {name: profiles[name]} if name in profiles else {}
    return with_all_faults(first, profiles, others={**config, "profiles": profiles})


def with_all_faults(
    first: ConfigInvalid,
    profiles: Any,
    more: Sequence[Fault] = (),
    *,
    others: Mapping[str, Any] | None = None,
) -> ConfigInvalid:
    """Add every fault of the shape of profiles to the first one that was found.

    Args:
        more: Faults that were found elsewhere.
        others: What the file holds beside the profiles.
    """
    from pfa_core.config.shape import ConfigFile
    from pfa_core.shapes import find_faults, place_text

    found = find_faults(ConfigFile, {"profiles": profiles, **(others or {})})
    faults = [
        *(each.as_fault(f"[{place_text(each.above)}]" if each.above else "file") for each in found),
        *more,
    ]
    number = f" ({len(faults)} problems in all)" if len(faults) > 1 else ""
    return ConfigInvalid(f"{first.message}{number}", hint=first.hint, details=faults)


def _chosen(
    path: Path, config: Mapping[str, Any], name: str | None, otherwise: str
) -> Mapping[str, Any]:
    for section in config:
        if section != "profiles":
            raise ConfigInvalid(
                f"{path} has the unknown section [{section}]", hint="[profiles.NAME]"
            )
    profiles = config.get("profiles", {})
    if not isinstance(profiles, dict):
        raise ConfigInvalid(f"{path}: [profiles] must be a table")
    if name and name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise ConfigInvalid(
            f"profile not found in {path}: {name!r}", hint=otherwise or f"profiles there: {known}"
        )
    profile = profiles.get(name or "default", {})
    _check_profile(path, name or "default", profile)
    return profile


def _check_profile(path: Path, name: str, profile: Any) -> None:
    if not isinstance(profile, dict):
        raise ConfigInvalid(f"{path}: [profiles.{name}] must be a table")
    for key, value in profile.items():
        if key not in PROFILE_KEYS:
            raise ConfigInvalid(
                f"{path}: [profiles.{name}] has the unknown key {key!r}",
                hint=f"known keys: {', '.join(PROFILE_KEYS)}",
            )
        if not isinstance(value, _KINDS.get(key, str)):
            raise ConfigInvalid(f"{path}: [profiles.{name}] {key} has the wrong type")
    # The rest of [pems], and [guard], are read by `config.pems` and `config.guards`, when they are needed.
    if not isinstance(profile.get("pems", {}).get("field_map", ""), str):
        raise ConfigInvalid(f"{path}: [profiles.{name}.pems] field_map must be a text")


def read_config(path: Path) -> dict[str, Any]:
    """Read the configuration file as it is; empty where there is none.

    Raises:
        ConfigInvalid: It is not TOML, cannot be read, or others can write it.
    """
    try:
        with open_judged(path, beyond=0o022) as file:
            config = _parsed(path, file)
        _refuse_nul(path, config)
        return config
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        # The home of another user, which a change of user left in HOME: there is nothing of this user's.
        if os.access(path.parent, os.X_OK):
            raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from error
        return {}
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from error


def _parsed(path: Path, file: BinaryIO) -> dict[str, Any]:
    content = file.read()
    if content.startswith(codecs.BOM_UTF8):
        raise ConfigInvalid(
            f"{path} begins with a byte order mark", hint="save it as UTF-8 without one"
        )
    return read_toml(content, str(path))


def _refuse_nul(path: Path, value: Any) -> None:
    """Refuse a text with a NUL, which neither a path nor a database can hold."""
    texts = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        texts = list(value)
        for child in value.values():
            _refuse_nul(path, child)
    elif isinstance(value, list):
        for child in value:
            _refuse_nul(path, child)
    if any("\0" in text for text in texts):
        raise ConfigInvalid(f"{path} holds a text with a NUL character")
