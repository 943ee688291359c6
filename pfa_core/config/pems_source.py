"""The configuration keys of one organization's PEMS.

They come from the environment and the configuration file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pfa_core.config.environment import environment_text
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid
from pfa_core.model.values import shorten

PEMS_KEYS = (
    "url",
    "username",
    "password_file",
    "tenant",
    "organization",
    "field_map",
    "writer",
    "timeout",
    "idempotency_keys",
    "retries",
    "retry_delay",
    "grid",
    "screen",
    "ownership",
)
GRID_KEYS = ("name", "id", "page_size", "timeout")
SCREEN_KEYS = ("name", "timezone")
PEMS_VARIABLES = {
    "url": "PFA_PEMS_URL",
    "username": "PFA_PEMS_USERNAME",
    "tenant": "PFA_PEMS_TENANT",
    "organization": "PFA_PEMS_ORGANIZATION",
    "field_map": "PFA_PEMS_FIELD_MAP",
    "writer": "PFA_PEMS_WRITER",
}
_PATHS = ("field_map",)  # names of files may be any bytes
_HEADER_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class PemsSource:
    """The keys of one organization's PEMS, each with the place that errors name."""

    def __init__(
        self, settings: Settings, organization_id: str, environ: Mapping[str, str]
    ) -> None:
        self.config_dir = settings.config_dir
        self.place = f"profiles.{settings.profile or 'default'}.pems"
        self._environ = environ
        pems = settings.values.get("pems", {})
        organizations = pems.get("organizations", {})
        if not isinstance(organizations, dict):
            raise ConfigInvalid(f"[{self.place}] organizations must be a table")
        shared = {key: value for key, value in pems.items() if key != "organizations"}
        own = organizations.get(organization_id, {})
        own_place = f"{self.place}.organizations.{organization_id}"
        self._values = {**_flat(shared, self.place), **_flat(own, own_place)}

    def variable(self, name: str) -> str:
        """Return a variable's value, empty when it is not set."""
        return self._environ.get(name, "")

    def find(self, key: str, kind: type | tuple[type, ...], meaning: str) -> Any:
        """Find the value of a key, the variable's first; None where it is not configured."""
        if key in PEMS_VARIABLES and self.variable(PEMS_VARIABLES[key]):
            if key in _PATHS:
                return self.variable(PEMS_VARIABLES[key])
            return environment_text(self._environ, PEMS_VARIABLES[key])
        value = self._values.get(key)
        is_flag = isinstance(value, bool) and kind is not bool
        if value is not None and (is_flag or not isinstance(value, kind)):
            raise self.wrong(key, f"must be {meaning}")
        return value

    def wrong(self, key: str, reason: str) -> ConfigInvalid:
        """Make the error that names the source of a key's value."""
        variable = PEMS_VARIABLES.get(key, "")
        if variable and self.variable(variable):
            return ConfigInvalid(f"{variable} {reason}")
        return ConfigInvalid(f"[{self.place}] {key} {reason}")

    def text(self, key: str, default: str = "") -> str:
        """Read a text."""
        return self.find(key, str, "a text") or default

    def header(self, key: str, default: str = "") -> str:
        """Read a text for an HTTP header."""
        value = self.text(key, default)
        if value and not _HEADER_TEXT.fullmatch(value):
            raise self.wrong(key, f"must be printable ASCII for HTTP, not {shorten(value)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self.find(key, bool, "true or false")
        return default if value is None else value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """Read a number within its bounds."""
        value = self.find(key, (int, float), "a number")
        if value is not None and not least <= value <= most:
            raise self.wrong(key, f"must be from {least:g} to {most:g}")
        return default if value is None else float(value)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """Read a whole number within its bounds."""
        value = self.find(key, int, "a whole number")
        if value is not None and not least <= value <= most:
            raise self.wrong(key, f"must be from {least} to {most}")
        return default if value is None else value

    def below(self, table: str) -> dict[str, Any]:
        """Return the keys of an inner table."""
        start = f"{table}."
        return {
            key.removeprefix(start): value
            for key, value in self._values.items()
            if key.startswith(start)
        }


def _flat(table: Any, place: str) -> dict[str, Any]:
    """Flatten a table: keys of inner tables become `grid.name`.

    So the organization's settings replace the profile's one by one.
    """
    if not isinstance(table, dict):
        raise ConfigInvalid(f"[{place}] must be a table")
    if "password" in table:
        raise ConfigInvalid(
            f"[{place}] holds a password, which the configuration file must not",
            hint='put it into a file of mode 0600 and write password_file = "FILE"',
        )
    _refuse_unknown(table, PEMS_KEYS, place)
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in ("grid", "screen", "ownership"):
            found[key] = value
            continue
        if not isinstance(value, dict):
            raise ConfigInvalid(f"[{place}] {key} must be a table")
        known = {"grid": GRID_KEYS, "screen": SCREEN_KEYS}.get(key)
        if known:
            _refuse_unknown(value, known, f"{place}.{key}")
        found |= {f"{key}.{name}": inner for name, inner in value.items()}
    return found


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigInvalid(
                f"[{place}] has the unknown key {key!r}", hint=f"known keys: {', '.join(known)}"
            )
