"""Edits of the configuration file that keep its comments and its order."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pfa_core.config import choices
from pfa_core.config.addresses import ADDRESSES, shown_value, without_password
from pfa_core.config.environment import require_text
from pfa_core.config.keys import ConfigKey, ConfigValue, find_key
from pfa_core.config.pems import why_invalid_url
from pfa_core.config.profile import read_config
from pfa_core.config.secret_files import prepare_secret_file
from pfa_core.config.settings import Flags, config_directory, named_profile
from pfa_core.config.shape import ConfigFile
from pfa_core.errors import ConfigInvalid, InvalidRequest, NotFound
from pfa_core.files.beside import access_of, give
from pfa_core.model import shell
from pfa_core.model.suggest import did_you_mean
from pfa_core.shapes import find_faults

PROFILES = "profiles"
_UNSET = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEdit:
    """A key before and after an edit; None: it was or is not set."""

    profile: str
    key: str
    before: ConfigValue | None
    after: ConfigValue | None
    path: str

    @property
    def changed(self) -> bool:
        """Whether the file differs now."""
        return self.before != self.after


def set_setting(
    name: str,
    text: str,
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: bool = True,
    dry_run: bool = False,
) -> ConfigEdit:
    """Set a key of the profile in the configuration file.

    The file and the default profile are made where there are none; comments and order stay.

    Args:
        text: The value as typed: `true`, `30`, a text.
        flags: Its `profile` names the profile.
        stored: The profile that the user chose counts.

    Raises:
        InvalidRequest: An unknown key, a value that it cannot have, a password.
        NotFound: There is no such profile.
        ConfigInvalid: The file cannot be read.
        IoFailure: It cannot be written.
    """
    key = find_key(name)
    value = checked_value(key, text)
    return _edit(key, value, flags or Flags(), environ, stored=stored, dry_run=dry_run)


def unset_setting(
    name: str,
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: bool = True,
    dry_run: bool = False,
) -> ConfigEdit:
    """Remove a key of the profile from the configuration file.

    Without it nothing happens.

    Raises:
        InvalidRequest, NotFound, ConfigInvalid, IoFailure: As from `set_setting`.
    """
    return _edit(find_key(name), _UNSET, flags or Flags(), environ, stored=stored, dry_run=dry_run)


def _edit(
    key: ConfigKey,
    value: Any,
    flags: Flags,
    environ: Mapping[str, str] | None,
    *,
    stored: bool,
    dry_run: bool,
) -> ConfigEdit:
    environ = os.environ if environ is None else environ
    named, _ = named_profile(flags, environ, stored=stored)
    profile = named or "default"
    with open_config(environ) as file:
        if profile != "default" or value is _UNSET:
            file.require_profile(profile, missing=profile == "default")
        path = (PROFILES, profile, *key.path)
        before = file.at(path)
        if value is _UNSET:
            file.remove(path)
        else:
            file.put(path, value)
        if not dry_run:
            file.save()
    after = None if value is _UNSET else value
    return ConfigEdit(
        profile=profile,
        key=key.name,
        before=shown_value(key.name, before),
        after=after,
        path=str(file.path),
    )


def checked_value(key: ConfigKey, text: str) -> ConfigValue:
    """Convert a value and check it as the readers of the file do.

    Raises:
        InvalidRequest: The key cannot have it.
    """
    require_text(text, key.name)
    if not text.strip():
        raise InvalidRequest(
            f"{key.name} would be empty", hint=f"type: pfa config unset {key.name}"
        )
    if key.name in ADDRESSES and without_password(text) != text:
        raise InvalidRequest(
            "the address holds a password, which every user of this machine saw on the command line",
            hint="change it, leave it out and put it into ~/.pgpass",
        )
    value = key.value_of(text)
    if key.path[-1] == "url" and (reason := why_invalid_url(text)):
        raise InvalidRequest(f"{key.name} {reason}")  # it may hold a password: not shown
    table: Any = value
    for step in reversed(("default", *key.path)):
        table = {step: table}
    for found in find_faults(ConfigFile, {PROFILES: table}):
        raise key.wrong(text, found.reason)
    return value


class OpenConfig:
    """The configuration file while it is edited."""

    def __init__(self, path: Path) -> None:
        """Read the file; without one it is empty.

        Raises:
            ConfigInvalid: It is not TOML, cannot be read, or others can write it.
        """
        self.path = path
        self._before = read_config(path)
        self._expected = deepcopy(self._before)
        self._ends = "\n"
        try:
            text = path.read_bytes().decode()
            self._ends = "\r\n" if "\r\n" in text else "\n"
            self._document = tomlkit.parse(text.replace("\r\n", "\n"))
        except FileNotFoundError:
            self._document = tomlkit.document()
        except (TOMLKitError, OSError) as error:
            raise ConfigInvalid(f"{path} cannot be edited: {error}") from error

    def profiles(self) -> dict[str, Any]:
        """Return the profiles by name."""
        found = self._expected.get(PROFILES, {})
        if not isinstance(found, dict):
            raise ConfigInvalid(f"{self.path}: [profiles] must be a table")
        return found

    def require_profile(self, name: str, *, missing: bool = False) -> None:
        """Refuse a profile that is not there.

        Args:
            missing: It may be missing.

        Raises:
            NotFound: There is no such profile.
        """
        known = self.profiles()
        if name not in known and not missing:
            raise NotFound(
                f"profile not found in {self.path}: {name!r}{did_you_mean(name, known)}",
                hint=f"type: {shell.command('pfa profile add', [name])}",
            )

    def add_table(self, path: Sequence[str]) -> None:
        """Add an empty table."""
        _put(self._expected, path, {}, dict, self.path)
        _put(self._document, path, tomlkit.table(), _table, self.path)

    def at(self, path: Sequence[str]) -> Any:
        """Return a value; None where there is none."""
        inside: Any = self._expected
        for name in path:
            if not isinstance(inside, dict):
                return None
            inside = inside.get(name)
        return inside

    def put(self, path: Sequence[str], value: Any) -> None:
        """Set a value, and make the tables that lead to it.

        Raises:
            ConfigInvalid: Something else stands where a table should.
        """
        _put(self._expected, path, value, dict, self.path)
        _put(self._document, path, value, _table, self.path)

    def remove(self, path: Sequence[str]) -> None:
        """Remove a value, and tables that are empty then; without it nothing happens.

        A profile stays, though empty.
        """
        if self.at(path) is None:
            return
        _remove(self._expected, path)
        _remove(self._document, path)
        profile = path[:2]
        if len(path) > 2 and not self.at(profile) and not _written(self._document, profile):
            # A table whose header is not in the file, because it held only tables, would go with them.
            self._document[PROFILES][path[1]] = tomlkit.table()

    def save(self) -> None:
        """Write the file, whole or not at all, where it differs.

        Mode, owner and a link to it stay.

        Raises:
            ConfigInvalid: The edit would have changed more than it was to.
            IoFailure: It cannot be written.
        """
        if self._expected == self._before:
            return
        text = tomlkit.dumps(self._document).rstrip("\n")
        # Tables in an unusual order are edited by tomlkit in ways that are checked, not trusted.
        if _comparable(tomllib.loads(text)) != _comparable(self._expected):
            raise ConfigInvalid(f"{self.path} cannot be edited without a change of something else",
                                hint="edit it by hand")  # fmt: skip
        target = self.path.resolve()
        # The last line end is written with the file.
        text = f"{text}\n".replace("\n", self._ends).removesuffix("\n")
        prepared = prepare_secret_file(target, text)
        if access := access_of(target):
            give(prepared.written.fileno(), access)
        prepared.publish()


@contextmanager
def open_config(environ: Mapping[str, str]) -> Iterator[OpenConfig]:
    """Open the configuration file for an edit, alone.

    Raises:
        ConfigInvalid: It cannot be read, or this user has no home directory.
        IoFailure: There can be no lock beside it.
    """
    path = config_directory(environ) / "config.toml"
    with choices.alone(str(path)):
        yield OpenConfig(path)


def _written(document: Any, path: Sequence[str]) -> bool:
    """Return whether a table is in the text of a document."""
    inside: Any = tomllib.loads(tomlkit.dumps(document))
    for name in path:
        if name not in inside:
            return False
        inside = inside[name]
    return True


def _comparable(config: Mapping[str, Any]) -> Any:
    """Leave out an empty table of profiles, and write nan as text: it equals nothing."""
    return _without_nan(
        {name: value for name, value in config.items() if name != PROFILES or value}
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return "nan" if isinstance(value, float) and isnan(value) else value


def _table() -> Any:
    return tomlkit.table()


def _put(
    inside: Any, path: Sequence[str], value: Any, table: Callable[[], Any], file: Path
) -> None:
    for depth, name in enumerate(path[:-1]):
        if name not in inside:
            made = tomlkit.table(is_super_table=True) if table is _table and not depth else table()
            inside[name] = made
        inside = inside[name]
        if not isinstance(inside, dict):
            raise ConfigInvalid(f"{file}: {'.'.join(path[: depth + 1])} must be a table")
    inside[path[-1]] = value


def _remove(inside: Any, path: Sequence[str]) -> None:
    above = [inside]
    for name in path[:-1]:
        above.append(above[-1][name])
    del above[-1][path[-1]]
    for depth in range(len(path) - 1, 2, -1):
        if not above[depth]:
            del above[depth - 1][path[depth - 1]]
