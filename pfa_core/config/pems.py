"""Settings of PEMS.

The order is: the environment, the organization's table, the profile's table, the defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pfa_core.config.pems_source import PemsSource
from pfa_core.config.secret_files import read_secret_file
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, IoFailure, NotFound
from pfa_core.model.ownership import Ownership, read_ownership
from pfa_core.model.secret import Secret
from pfa_core.model.values import shorten
from pfa_core.pems.mapping.field_map import FieldMap, load_field_map
from pfa_core.pems.profile import GridSettings, PemsNames, PemsProfile, ScreenSettings, WriterKind

MAX_PAGE = 100_000
MAX_SECONDS = 3600
MAX_RETRIES = 20
_ZONE = re.compile(r"[+-]([01]\d|2[0-3])[0-5]\d", re.ASCII)


def pems_profile(
    settings: Settings, organization_id: str, environ: Mapping[str, str] | None = None
) -> PemsProfile:
    """Read everything that is configured of an organization's PEMS.

    Raises:
        ConfigInvalid: No address, an unknown key, a value of another type or out of its range, a
            user without password, a password file that is not there, cannot be read or can be read
            by others, a bad field map.
    """
    environ = os.environ if environ is None else environ
    source = PemsSource(settings, organization_id, environ)
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
    """Return whether the URL of the organization's PEMS is configured."""
    environ = os.environ if environ is None else environ
    return bool(PemsSource(settings, organization_id, environ).text("url"))


def pems_names(
    settings: Settings, organization_id: str, environ: Mapping[str, str] | None = None
) -> PemsNames:
    """Read the names that PEMS has; its URL need not be configured.

    Raises:
        ConfigInvalid: An unknown key, a bad field map.
    """
    environ = os.environ if environ is None else environ
    source = PemsSource(settings, organization_id, environ)
    organization = source.header("organization", organization_id)
    return PemsNames(_field_map(source), organization, organization_id)


def pems_ownership(
    settings: Settings, organization_id: str, environ: Mapping[str, str] | None = None
) -> Ownership:
    """Read which side owns which field; the URL of PEMS need not be configured.

    Raises:
        ConfigInvalid: An unknown key or owner.
    """
    environ = os.environ if environ is None else environ
    return _ownership(PemsSource(settings, organization_id, environ))


def _url(source: PemsSource) -> str:
    url = source.text("url")
    if not url:
        raise ConfigInvalid(
            "the URL of PEMS is not configured",
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


def _password(source: PemsSource, username: str) -> Secret | None:
    named = source.variable("PFA_PEMS_PASSWORD_FILE")
    inline = source.variable("PFA_PEMS_PASSWORD")
    configured = source.text("password_file")
    if named:
        found = _secret(_path(named), "PFA_PEMS_PASSWORD_FILE")
    elif inline:
        found = inline
    else:
        # A relative path starts at the folder of the configuration file.
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


def _writer(source: PemsSource) -> WriterKind:
    name = source.text("writer", WriterKind.REST)
    if name not in list(WriterKind):
        raise source.wrong("writer", f"must be {' or '.join(WriterKind)}, not {shorten(name)}")
    return WriterKind(name)


def _field_map(source: PemsSource) -> FieldMap:
    path = source.text("field_map")
    return load_field_map(_path(path)) if path else FieldMap()


def _grid(source: PemsSource) -> GridSettings:
    usual = GridSettings()
    return GridSettings(
        source.text("grid.name", usual.name),
        source.text("grid.id", usual.id),
        source.whole("grid.page_size", usual.page_size, 1, MAX_PAGE),
    )


def _screen(source: PemsSource) -> ScreenSettings:
    usual = ScreenSettings()
    zone = source.text("screen.timezone", usual.timezone)
    if not _ZONE.fullmatch(zone):
        raise source.wrong("screen.timezone", f"must be like -0500, not {shorten(zone)}")
    return ScreenSettings(source.text("screen.name", usual.name), zone)


def _ownership(source: PemsSource) -> Ownership:
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
        raise ConfigInvalid(f"{text!r}: unknown home directory") from None
