"""Where PEMS's settings come from: environment, then the organization's table, then the profile's,
then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pfa_core.config.secret_files import read_secret_file
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, IoFailure, NotFound
from pfa_core.model.ownership import Ownership, read_ownership
from pfa_core.model.secret import Secret
from pfa_core.model.values import shorten
from pfa_core.pems.mapping.field_map import FieldMap, load_field_map
from pfa_core.pems.profile import GridSettings, PemsProfile, ScreenSettings, WriterKind

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
MAX_PAGE = 100_000
MAX_SECONDS = 3600
MAX_RETRIES = 20
_VARIABLES = {
    "url": "PFA_PEMS_URL",
    "username": "PFA_PEMS_USERNAME",
    "tenant": "PFA_PEMS_TENANT",
    "organization": "PFA_PEMS_ORGANIZATION",
    "field_map": "PFA_PEMS_FIELD_MAP",
    "writer": "PFA_PEMS_WRITER",
}
_ZONE = re.compile(r"[+-]([01]\d|2[0-3])[0-5]\d", re.ASCII)
_HEADER_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def pems_profile(
    settings: Settings, organization_id: str, environ: Mapping[str, str] | None = None
) -> PemsProfile:
    """Everything that is configured of an organization's PEMS.

    Raises:
        ConfigInvalid: No address, an unknown key, a value of another type or out of its range, a
            user without password, a password file that is not there, cannot be read or can be read
            by others, a bad field map.
    """
    environ = os.environ if environ is None else environ
    source = _Source(settings, organization_id, environ)
    username = source.text("username")
    return PemsProfile(
        url=_url(source),
        organization_id=organization_id,
        organization=source.header("organization", organization_id),
        username=username,
        password=_password(source, username),
        tenant=source.header("tenant"),
        writer=_writer(source),
        field_map=_field_map(source),
        grid=_grid(source),
        screen=_screen(source),
        ownership=_ownership(source),
        timeout=source.number("timeout", 30.0, 0.1, MAX_SECONDS),
        grid_timeout=source.number("grid.timeout", 60.0, 0.1, MAX_SECONDS),
        idempotency_keys=source.flag("idempotency_keys", default=True),
        retries=source.whole("retries", 3, 0, MAX_RETRIES),
        retry_delay=source.number("retry_delay", 5.0, 0, MAX_SECONDS),
    )


def pems_configured(
    settings: Settings, organization_id: str, environ: Mapping[str, str] | None = None
) -> bool:
    """Whether it is told where the organization's PEMS is."""
    environ = os.environ if environ is None else environ
    return bool(_Source(settings, organization_id, environ).text("url"))


def pems_ownership(
    settings: Settings, organization_id: str, environ: Mapping[str, str] | None = None
) -> Ownership:
    """Who has the last word on which field, whether it is configured where PEMS is or not.

    Raises:
        ConfigInvalid: An unknown key, or an owner that is none.
    """
    environ = os.environ if environ is None else environ
    return _ownership(_Source(settings, organization_id, environ))


class _Source:
    """The keys of one organization's PEMS, each with the place to name when it is wrong."""

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
        """A variable's value, empty when it is not set."""
        return self._environ.get(name, "")

    def find(self, key: str, kind: type | tuple[type, ...], meaning: str) -> Any:
        """The value of a key, the variable's first; None where it is nowhere."""
        if key in _VARIABLES and self.variable(_VARIABLES[key]):
            return self.variable(_VARIABLES[key])
        value = self._values.get(key)
        is_flag = isinstance(value, bool) and kind is not bool
        if value is not None and (is_flag or not isinstance(value, kind)):
            raise self.wrong(key, f"must be {meaning}")
        return value

    def wrong(self, key: str, reason: str) -> ConfigInvalid:
        """The error that names where the value of a key comes from."""
        variable = _VARIABLES.get(key, "")
        if variable and self.variable(variable):
            return ConfigInvalid(f"{variable} {reason}")
        return ConfigInvalid(f"[{self.place}] {key} {reason}")

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        return self.find(key, str, "a text") or default

    def header(self, key: str, default: str = "") -> str:
        """A text that goes into an HTTP header."""
        value = self.text(key, default)
        if value and not _HEADER_TEXT.fullmatch(value):
            raise self.wrong(key, f"must be printable ASCII for HTTP, not {shorten(value)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self.find(key, bool, "true or false")
        return default if value is None else value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """A number within its bounds."""
        value = self.find(key, (int, float), "a number")
        if value is not None and not least <= value <= most:
            raise self.wrong(key, f"must be from {least:g} to {most:g}")
        return default if value is None else float(value)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within its bounds."""
        value = self.find(key, int, "a whole number")
        if value is not None and not least <= value <= most:
            raise self.wrong(key, f"must be from {least} to {most}")
        return default if value is None else value

    def below(self, table: str) -> dict[str, Any]:
        """The keys of a table within."""
        start = f"{table}."
        return {
            key.removeprefix(start): value
            for key, value in self._values.items()
            if key.startswith(start)
        }


def _flat(table: Any, place: str) -> dict[str, Any]:
    """The keys of a table, those of the tables within as `grid.name`, so that the organization's
    settings take the place of the profile's one by one."""
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
        found |= {f"{key}.{inner}": told for inner, told in value.items()}
    return found


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigInvalid(
                f"[{place}] has the unknown key {key!r}", hint=f"known keys: {', '.join(known)}"
            )


def _url(source: _Source) -> str:
    url = source.text("url")
    if not url:
        raise ConfigInvalid(
            "it is not configured where PEMS is",
            hint=f"set PFA_PEMS_URL, or url in [{source.place}] of "
            f"{source.config_dir / 'config.toml'}",
        )
    try:
        address = urlsplit(url)
        valid = address.scheme in ("http", "https") and bool(address.hostname)
        # Reading the port checks it.
        valid = valid and address.port != 0 and not re.search(r"[^\x21-\x7e]", url)
    except ValueError:
        address, valid = urlsplit(""), False
    # A wrong address is not shown: it may hold a password.
    if "@" in address.netloc or (not valid and "@" in url):
        raise source.wrong("url", "must not hold credentials; there are username and password_file")
    if not valid or address.query or address.fragment:
        raise source.wrong("url", "must be an address such as https://pems.example/base")
    return url.rstrip("/")


def _secret(path: Path, named_by: str) -> str:
    try:
        return read_secret_file(path)
    except (NotFound, IoFailure) as error:
        raise ConfigInvalid(f"{named_by}: {error.message}", hint=error.hint) from error


def _password(source: _Source, username: str) -> Secret | None:
    named = source.variable("PFA_PEMS_PASSWORD_FILE")
    inline = source.variable("PFA_PEMS_PASSWORD")
    configured = source.text("password_file")
    if named:
        found = _secret(_path(named), "PFA_PEMS_PASSWORD_FILE")
    elif inline:
        found = inline
    else:
        # What is relative is relative to the file that says it.
        file = source.config_dir / _path(configured)
        found = _secret(file, f"[{source.place}] password_file") if configured else ""
    if bool(found) != bool(username):
        missing = "user name" if found else "password"
        raise ConfigInvalid(
            f"PEMS's {missing} is not configured, only {'a password' if found else 'a user name'}",
            hint="set PFA_PEMS_USERNAME, or username in the profile"
            if found
            else "set PFA_PEMS_PASSWORD_FILE, or password_file in the profile",
        )
    if ":" in username:
        raise source.wrong("username", "must not hold a colon")
    return Secret(found) if found else None


def _writer(source: _Source) -> WriterKind:
    told = source.text("writer", WriterKind.REST)
    if told not in list(WriterKind):
        raise source.wrong("writer", f"must be {' or '.join(WriterKind)}, not {shorten(told)}")
    return WriterKind(told)


def _field_map(source: _Source) -> FieldMap:
    path = source.text("field_map")
    return load_field_map(_path(path)) if path else FieldMap()


def _grid(source: _Source) -> GridSettings:
    usual = GridSettings()
    return GridSettings(
        source.text("grid.name", usual.name),
        source.text("grid.id", usual.id),
        source.whole("grid.page_size", usual.page_size, 1, MAX_PAGE),
    )


def _screen(source: _Source) -> ScreenSettings:
    usual = ScreenSettings()
    zone = source.text("screen.timezone", usual.timezone)
    if not _ZONE.fullmatch(zone):
        raise source.wrong("screen.timezone", f"must be like -0500, not {shorten(zone)}")
    return ScreenSettings(source.text("screen.name", usual.name), zone)


def _ownership(source: _Source) -> Ownership:
    table = source.below("ownership")
    place = f"[{source.place}.ownership]"
    for name, owner in table.items():
        if not isinstance(owner, str):
            raise ConfigInvalid(f"{place} {name} must be a text")
    return read_ownership(table, place)


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigInvalid(f"{text!r}: there is no such user's home") from None
