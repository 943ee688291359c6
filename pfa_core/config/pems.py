"""Settings of PEMS.

The order is: the environment, the organization's table, the profile's table, the defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from pfa_core.config.environment import environment_text
from pfa_core.config.pems_bounds import MAX_PAGE, MAX_RETRIES, MAX_SECONDS, ZONE
from pfa_core.config.pems_source import PEMS_VARIABLES, PemsSource
from pfa_core.config.profile import with_all_faults
from pfa_core.config.secret_files import read_secret_file
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, Fault, IoFailure, NotFound
from pfa_core.model.ownership import Ownership, read_ownership
from pfa_core.model.secret import Secret, why_unsendable
from pfa_core.model.values import shorten
from pfa_core.pems.mapping.field_map import FieldMap, load_field_map
from pfa_core.pems.profile import GridSettings, PemsNames, PemsProfile, ScreenSettings, WriterKind


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
    with _all_faults(settings, organization_id, environ):
        return _read_profile(PemsSource(settings, organization_id, environ), organization_id)


def _read_profile(source: PemsSource, organization_id: str) -> PemsProfile:
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
    with _all_faults(settings, organization_id, environ):
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
    with _all_faults(settings, organization_id, environ):
        return _ownership(PemsSource(settings, organization_id, environ))


@contextmanager
def _all_faults(
    settings: Settings, organization_id: str, environ: Mapping[str, str]
) -> Iterator[None]:
    """Add every other fault of the settings to the first one."""
    try:
        yield
    except ConfigInvalid as first:
        raise _with_all_faults(first, settings, organization_id, environ) from first.__cause__


def _with_all_faults(
    first: ConfigInvalid, settings: Settings, organization_id: str, environ: Mapping[str, str]
) -> ConfigInvalid:
    from pfa_core.config.shape import PemsTable
    from pfa_core.shapes import find_faults

    table = dict(settings.values.get("pems", {}))
    organizations = table.get("organizations")
    if isinstance(organizations, dict):
        own = (
            {organization_id: organizations[organization_id]}
            if organization_id in organizations
            else {}
        )
        table["organizations"] = own
    of_variables = [
        Fault("", PEMS_VARIABLES[found.name], found.code, found.reason, position="environment")
        for found in find_faults(PemsTable, _given(environ))
    ]
    name = settings.profile or "default"
    return with_all_faults(first, {name: {"pems": table}}, of_variables)


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values of variables by key; what is not UTF-8 has no value."""
    found: dict[str, str] = {}
    for key, name in PEMS_VARIABLES.items():
        with suppress(ConfigInvalid):
            if value := environment_text(environ, name):
                found[key] = value
    return found


def _url(source: PemsSource) -> str:
    url = source.text("url")
    if not url:
        raise ConfigInvalid(
            "the URL of PEMS is not configured",
            hint=f"set PFA_PEMS_URL, or url in [{source.place}] of "
            f"{source.config_dir / 'config.toml'}",
        )
    if reason := why_invalid_url(url):
        raise source.wrong("url", reason)
    return url.rstrip("/")


def why_invalid_url(url: str) -> str:
    """Return why a text is not an address of PEMS, empty where it is one.

    The reason does not show the text: it may hold a password.
    """
    try:
        address = urlsplit(url)
        valid = address.scheme in ("http", "https") and bool(address.hostname)
        # Reading the port checks it.
        valid = valid and address.port != 0 and not re.search(r"[^\x21-\x7e]", url)
    except ValueError:
        address, valid = urlsplit(""), False
    if "@" in address.netloc or (not valid and "@" in url):
        return "must not hold credentials; there are username and password_file"
    if not valid or address.query or address.fragment:
        return "must be an address such as https://pems.example/base"
    return ""


def _secret(path: Path, named_by: str) -> str:
    try:
        return read_secret_file(path)
    except (NotFound, IoFailure) as error:
        raise ConfigInvalid(f"{named_by}: {error.message}", hint=error.hint) from error


def _found_password(source: PemsSource) -> tuple[str, str]:
    """Return where the password is configured, and the password; empty for none."""
    named = source.variable("PFA_PEMS_PASSWORD_FILE")
    inline = source.variable("PFA_PEMS_PASSWORD")
    configured = source.text("password_file")
    if named:
        place = "PFA_PEMS_PASSWORD_FILE"
        return place, _secret(_path(named), place)
    if inline or not configured:
        return "PFA_PEMS_PASSWORD", inline
    place = f"[{source.place}] password_file"
    # A relative path starts at the folder of the configuration file.
    return place, _secret(source.config_dir / _path(configured), place)


def _password(source: PemsSource, username: str) -> Secret | None:
    place, found = _found_password(source)
    unsendable = why_unsendable(found)
    if unsendable:
        raise ConfigInvalid(f"the password of PEMS in {place} {unsendable}")
    unsendable = why_unsendable(username)
    if unsendable:
        raise source.wrong("username", unsendable)
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
    if not re.fullmatch(ZONE, zone, re.ASCII):
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
    if "\0" in text:
        raise ConfigInvalid(f"{shorten(text)} is not a file name")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigInvalid(f"{text!r}: unknown home directory") from None
