"""Settings in effect, and the places that their values come from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pfa_core.config import choices
from pfa_core.config.addresses import shown_value
from pfa_core.config.keys import OWNERSHIP, PEMS, ConfigKey, ConfigValue, config_keys, find_key
from pfa_core.config.profile import read_config
from pfa_core.config.settings import (
    ABOUT_DATABASE,
    CHOICE,
    Flags,
    config_directory,
    named_profile,
)
from pfa_core.errors import NotFound
from pfa_core.model.record import EDITABLE

DEFAULT = "default"
# Variables whose value is a secret itself, not the name of its file.
_SECRETS = ("PFA_TOKEN", "PFA_PEMS_PASSWORD")


@dataclass(frozen=True, slots=True)
class ConfigPlace:
    """A place that a value may come from, and the value there; None: none there.

    `note` says what holds where that is not a value, or a secret.
    """

    source: str
    value: ConfigValue | None = None
    note: str = ""

    @property
    def counts(self) -> bool:
        """Whether the place settles the setting, where none before it does."""
        return self.value is not None or bool(self.note)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSetting:
    """A key, its value in effect and what that comes from.

    `places` are all that may hold it, the first that does wins. Without any `value` is None and `source` empty;
    `note` is as of a place.
    """

    key: str
    value: ConfigValue | None
    note: str
    source: str
    meaning: str
    must: str
    unit: str
    places: Sequence[ConfigPlace]


def list_settings(
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: bool = True,
) -> list[ConfigSetting]:
    """List every key with its value in effect, also where the file has faults.

    Keys of fields and organizations are listed where they are set. No secret is shown.

    Args:
        stored: What the user chose counts (`use_profile`, `use_organization`).

    Raises:
        ConfigInvalid: The configuration file is not TOML, cannot be read, or others can write it.
    """
    found = _Places(flags or Flags(), os.environ if environ is None else environ, stored=stored)
    return [found.setting(key) for key in [*config_keys().values(), *found.further_keys()]]


def explain_setting(
    name: str,
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: bool = True,
) -> ConfigSetting:
    """Return the value in effect of a key, with every place that may hold it.

    Raises:
        InvalidRequest: There is no such key.
        ConfigInvalid: As from `list_settings`.
    """
    environ = os.environ if environ is None else environ
    return _Places(flags or Flags(), environ, stored=stored).setting(find_key(name))


def setting_value(setting: ConfigSetting) -> ConfigValue:
    """Return the value of a setting.

    Raises:
        NotFound: It is not set.
    """
    if setting.value is None:
        instead = f": {setting.note} holds" if setting.note else ""
        raise NotFound(
            f"{setting.key} is not set{instead}", hint=f"type: pfa config set {setting.key} VALUE"
        )
    return setting.value


class _Places:
    """The places of values, read once."""

    def __init__(self, flags: Flags, environ: Mapping[str, str], *, stored: bool) -> None:
        self._flags, self._environ, self._stored = flags, environ, stored
        name, _ = named_profile(flags, environ, stored=stored)
        self._name = name or "default"
        profiles = read_config(config_directory(environ) / "config.toml").get("profiles")
        profile = profiles.get(self._name) if isinstance(profiles, dict) else None
        self._profile: dict[str, Any] = profile if isinstance(profile, dict) else {}
        self._organization = ""  # while it is looked for
        self._organization = self._first(find_key("organization"))

    def setting(self, key: ConfigKey) -> ConfigSetting:
        places = list(self._of(key))
        won = next((place for place in places if place.counts), ConfigPlace(""))
        return ConfigSetting(
            key=key.name,
            value=won.value,
            note=won.note,
            source=won.source,
            meaning=key.meaning,
            must=key.must,
            unit=key.unit,
            places=places,
        )

    def further_keys(self) -> Iterator[ConfigKey]:
        """Yield the keys of fields and organizations that are set and known."""
        owned = self._at((PEMS, OWNERSHIP))
        for name in owned if isinstance(owned, dict) else ():
            if name in EDITABLE:
                yield find_key(f"pems.ownership.{name}")

    def _of(self, key: ConfigKey) -> Iterator[ConfigPlace]:
        if key.option:
            yield ConfigPlace(key.option, shown_value(key.name, self._flag(key.name)))
        for variable in key.variables:
            if not (key.name == "database_read_url" and self._flag("database_url")):
                yield self._variable(variable, key)
        if key.name == "organization":
            yield ConfigPlace(CHOICE, self._chosen())
        if key.path[0] == PEMS and key.path[1:2] != ("organizations",) and self._organization:
            own = (PEMS, "organizations", self._organization, *key.path[1:])
            yield ConfigPlace(
                f"organization {self._organization}", shown_value(key.name, self._at(own))
            )
        in_profile = shown_value(key.name, self._of_profile(key))
        yield ConfigPlace(f"profile {self._name}", in_profile)
        if key.default is not None or key.otherwise:
            yield ConfigPlace(DEFAULT, key.default, key.otherwise)

    def _of_profile(self, key: ConfigKey) -> Any:
        """Return what the profile holds; None for a key about another database."""
        if key.name in ABOUT_DATABASE:
            places = self._of(find_key("database_url"))
            if next(place.source for place in places if place.counts) not in (
                f"profile {self._name}",
                DEFAULT,
            ):
                return None
        return self._at(key.path)

    def _first(self, key: ConfigKey) -> str:
        values = (place.value for place in self._of(key))
        return next((value for value in values if isinstance(value, str)), "")

    def _flag(self, name: str) -> str | None:
        flag = {"organization": "org"}.get(name, name)
        return getattr(self._flags, flag, None) or None

    def _variable(self, variable: str, key: ConfigKey) -> ConfigPlace:
        value = self._environ.get(variable)
        if not value:
            return ConfigPlace(variable)
        if variable in _SECRETS:
            return ConfigPlace(variable, note="a secret")
        # Names of files may be any bytes.
        text = os.fsencode(value).decode(errors="replace")
        return ConfigPlace(variable, shown_value(key.name, text))

    def _chosen(self) -> str | None:
        if not self._stored:
            return None
        address = self._first(find_key("database_url")) or None
        name = None if self._name == "default" else self._name
        place = choices.place_of(name, address, self._environ)
        return choices.chosen(choices.ORGANIZATION, place, self._environ)

    def _at(self, path: Sequence[str]) -> Any:
        """Return what the profile's table holds, None where it holds nothing."""
        inside: Any = self._profile
        for name in path:
            if not isinstance(inside, dict) or name not in inside:
                return None
            inside = inside[name]
        return inside
