"""Connections to PostgreSQL as this package configures them, and their addresses."""

from __future__ import annotations

import logging
import time
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_dumps, set_json_loads

from pfa_core import exact_json
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable
from pfa_core.store.adapters import TextsDumper
from pfa_core.store.embedded import environment
from pfa_core.store.errors import NO_ADDRESS, InvalidAddress, not_connected

# psycopg's warning when it is interrupted stays off stderr; a program's own handlers still get it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
_SHOWN_WORDS = ("host", "hostaddr", "port", "dbname", "user", "service", "sslmode")
_SCHEMES = ("postgresql://", "postgres://")
# libpq sends these three to the server as settings; the other variables are about the connection.
_SETTING_VARIABLES = ("PGDATESTYLE", "PGTZ", "PGGEQO")
# How a server answers that will take connections by itself (57P03; a failed connect has no SQLSTATE).
_RECOVERING = ("starting up", "not yet accepting connections", "in recovery mode")
_RECOVERY_SECONDS, _PAUSE = 30.0, 0.2


def open_connection(conninfo: str, source: str) -> Connection[Any]:
    """Open a connection to a server of the user's own.

    It is in autocommit mode, with exact JSON numbers. The caller's PG* variables supply what the address
    leaves open, but no setting of the session. A server that starts or recovers is waited for, 30 s.

    Args:
        source: What named the address, for messages.

    Raises:
        ConfigInvalid: The address is not valid, or the server refuses its user, password or database.
        DatabaseUnavailable: There is no connection.
    """
    words = _words(conninfo, source)
    try:
        with environment.hidden(_SETTING_VARIABLES):
            # Given, if empty, it keeps out PGOPTIONS.
            return _open_recovered(conninfo, options=str(words.get("options") or ""))
    except psycopg.ProgrammingError:
        raise _invalid(source) from None
    except psycopg.OperationalError as error:
        # What a URL with a password has for its host may be the rest of the password.
        secret = conninfo.startswith(_SCHEMES) and "password" in words
        hosts = str(words.get("host") or "").split(",") if secret else ()
        translation = not_connected(error, source, hosts)
        # As a cause the driver's text would quote the address in a trace.
        quoted = secret or isinstance(translation, InvalidAddress)
        raise translation from (None if quoted else error)


def open_embedded(conninfo: str) -> Connection[Any]:
    """Open such a connection to the embedded server, without the PG* variables."""
    with environment.hidden():
        return _open(conninfo, options="")


def _open_recovered(conninfo: str, *, options: str) -> Connection[Any]:
    """Open a connection, again while the server says that it starts or recovers."""
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while True:
        try:
            return _open(conninfo, options=options)
        except psycopg.OperationalError as error:
            if not any(phrase in str(error) for phrase in _RECOVERING):
                raise
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"the database still recovers after {_RECOVERY_SECONDS:.0f} s",
                    hint="type: pfa doctor",
                ) from None
        time.sleep(_PAUSE)


def _open(conninfo: str, *, options: str) -> Connection[Any]:
    conn = psycopg.connect(
        conninfo,
        autocommit=True,
        connect_timeout=10,
        application_name="pfa",
        options=options,
        client_encoding="utf-8",
    )
    set_json_loads(exact_json.loads, conn)
    set_json_dumps(exact_json.dumps, conn)
    conn.adapters.register_dumper(list, TextsDumper)
    return conn


def _words(conninfo: str, source: str) -> dict[str, Any]:
    """Parse an address.

    Raises:
        ConfigInvalid: It is not valid. There is no cause, even for debugging: the driver's text quotes the
            address with its password.
    """
    try:
        words = conninfo_to_dict(conninfo)
    except (psycopg.ProgrammingError, UnicodeError):
        raise _invalid(source) from None
    if _is_cut(conninfo, words):
        raise ConfigInvalid(
            f"{NO_ADDRESS}: its password holds an @ or a / as it is",
            hint=f"see {source}: in a URL %40 is written for @, %2F for /",
        )
    return words


def _is_cut(conninfo: str, words: dict[str, Any]) -> bool:
    """Return whether a password with an unescaped @ or / was cut.

    libpq would take the rest of it for host and database, and show it.
    """
    if "@" in str(words.get("host") or "")[1:]:
        return True
    if not conninfo.startswith(_SCHEMES):
        return False
    before_query = conninfo.partition("://")[2].partition("?")[0]
    account, slash, path = before_query.partition("/")
    return "@" in path if slash else account.count("@") > 1


def _invalid(source: str) -> ConfigInvalid:
    return InvalidAddress(NO_ADDRESS, hint=f"see {source}")


def safe_address(conninfo: str) -> str:
    """Write a connection string or URL as `key=value` words without secrets."""
    try:
        words = _words(conninfo, "")
    except ConfigInvalid:
        return "not a valid address"
    port = str(words.get("port") or "0").replace(",", "")
    if not port.isdigit():
        return "not a valid address"
    shown = {key: str(words[key]) for key in _SHOWN_WORDS if key in words}
    return make_conninfo("", **shown)


def split_password(conninfo: str, source: str) -> tuple[str, str]:
    """Split an address from its password.

    The reason is that a program's arguments are visible to all users.

    Raises:
        ConfigInvalid: The address is not valid.
    """
    words = {key: str(value) for key, value in _words(conninfo, source).items()}
    password = words.pop("password", "")
    words.pop("sslpassword", None)
    return (make_conninfo("", **words), password) if password else (conninfo, "")
