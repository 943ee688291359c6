"""Connections to PostgreSQL as this package configures them, and their addresses."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_dumps, set_json_loads

from pfa_core import exact_json
from pfa_core.errors import ConfigInvalid
from pfa_core.store.adapters import TextsDumper
from pfa_core.store.errors import NO_ADDRESS

# psycopg's warning when it is interrupted stays off stderr; a program's own handlers still get it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
_SHOWN_WORDS = ("host", "hostaddr", "port", "dbname", "user", "service", "sslmode")
# A page of ten thousand records is sorted in memory, not on disk.
_SESSION = "-c timezone=UTC -c jit=off -c datestyle=ISO -c statement_timeout=0 -c work_mem=32MB"


def open_connection(conninfo: str) -> Connection[Any]:
    """Open a connection in autocommit mode, with exact JSON numbers.

    Raises:
        ConfigInvalid: The address is not valid.
    """
    try:
        # A password with an unescaped @: libpq would take the rest of it for the host, and show it.
        if "@" in str(conninfo_to_dict(conninfo).get("host") or ""):
            raise UnicodeError
        conn = _connect(conninfo)
    except (psycopg.ProgrammingError, UnicodeError):
        # Without a cause, even for debugging: the driver's text quotes the address with its password.
        raise ConfigInvalid(NO_ADDRESS, hint="see PFA_DATABASE_URL") from None
    set_json_loads(exact_json.loads, conn)
    set_json_dumps(exact_json.dumps, conn)
    conn.adapters.register_dumper(list, TextsDumper)
    return conn


def _connect(conninfo: str) -> Connection[Any]:
    return psycopg.connect(
        conninfo,
        autocommit=True,
        connect_timeout=10,
        application_name="pfa",
        options=_SESSION,
        client_encoding="utf-8",
    )


def safe_address(conninfo: str) -> str:
    """Write a connection string or URL as `key=value` words without secrets."""
    try:
        words = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return "not a valid address"
    port = str(words.get("port") or "0").replace(",", "")
    if not port.isdigit() or "@" in str(words.get("host") or ""):
        return "not a valid address"
    shown = {key: str(words[key]) for key in _SHOWN_WORDS if key in words}
    return make_conninfo("", **shown)


def split_password(conninfo: str) -> tuple[str, str]:
    """Split an address from its password.

    The reason is that a program's arguments are visible to all users.
    """
    try:
        words = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    except psycopg.ProgrammingError:
        raise ConfigInvalid(NO_ADDRESS, hint="see PFA_DATABASE_URL") from None
    password = words.pop("password", "")
    words.pop("sslpassword", None)
    return (make_conninfo("", **words), password) if password else (conninfo, "")
