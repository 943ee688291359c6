"""Connections to PostgreSQL as this package configures them, and their addresses."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_dumps, set_json_loads

from pfa_core import exact_json
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable
from pfa_core.store.adapters import TextsDumper, TimeLoader
from pfa_core.store.embedded import environment
from pfa_core.store.embedded.crowding import is_crowded, limited
from pfa_core.store.errors import NO_ADDRESS, InvalidAddress, crowded, not_connected
from pfa_core.store.silence import ASK_SECONDS, SILENCE_SECONDS, WatchedConnection

# psycopg's warning when it is interrupted stays off stderr; a program's own handlers still get it.
_LOGGER = logging.getLogger("pfa")
logging.getLogger("psycopg").addHandler(logging.NullHandler())
_SHOWN_WORDS = ("host", "hostaddr", "port", "dbname", "user", "service", "sslmode")
_SCHEMES = ("postgresql://", "postgres://")
# libpq sends these three to the server as settings; the other variables are about the connection.
_SETTING_VARIABLES = ("PGDATESTYLE", "PGTZ", "PGGEQO")
# An address may name others. The kernel's own limits are 15 minutes for what was sent, and two hours for an
# answer.
_LIMITS = {
    "connect_timeout": 10,  # seconds
    "tcp_user_timeout": int(SILENCE_SECONDS * 1000),  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}
# How a server answers that will take connections by itself (57P03; a failed connect has no SQLSTATE).
_RECOVERING = ("starting up", "not yet accepting connections", "in recovery mode")
_RECOVERY_SECONDS, _PAUSE = 30.0, 0.2
# For a free connection. Each attempt costs the server a process, so the pauses grow, and no two programs keep step.
CROWD_SECONDS = 60.0
LIMITED_SECONDS = 5.0  # of those that a role or a database may have, which may be none at all
_CROWD_NOTICE_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.1, 2.0, 1.5


def open_connection(
    conninfo: str,
    source: str,
    silence_limit: float | None = None,
    *,
    connect_seconds: int = _LIMITS["connect_timeout"],
    waits: bool = True,
) -> Connection[Any]:
    """Open a connection to a server of the user's own.

    It is in autocommit mode, with exact JSON numbers. The caller's PG* variables supply what the address
    leaves open, but no setting of the session. A server that starts or recovers is waited for, 30 s, and one
    that has no connection to spare, 60 s; where only the role or the database may have no more, 5 s.

    Args:
        source: What named the address, for messages.
        silence_limit: Seconds without an answer, after which the server is asked whether it is still at work;
            None: the address's tcp_user_timeout, or SILENCE_SECONDS.
        connect_seconds: How long a connection may take, where the address names no limit.
        waits: Whether a server is waited for that has no connection to spare.

    Raises:
        ConfigInvalid: The address is not valid, or the server refuses its user, password or database.
        DatabaseUnavailable: There is no connection.
    """
    words = _words(conninfo, source)
    try:
        # Given, if empty, it keeps out PGOPTIONS.
        options = {"options": "", **words}["options"] or ""
        limits = {**_LIMITS, "connect_timeout": connect_seconds}
        limits = {name: value for name, value in limits.items() if name not in words}
        given, silence = {**limits, "options": options}, silence_limit or _silence_limit(words)
        return _open_when_free(
            lambda: _open_recovered(conninfo, given, silence), CROWD_SECONDS if waits else 0
        )
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


def open_embedded(conninfo: str, silence_limit: float | None = None) -> Connection[Any]:
    """Open such a connection to the embedded server, without the PG* variables.

    Raises:
        DatabaseUnavailable: It has had no connection to spare for 60 s.
    """
    return _open_when_free(
        lambda: _open(
            conninfo,
            {"connect_timeout": _LIMITS["connect_timeout"], "options": ""},
            hidden=environment.ALL,
            silence_limit=silence_limit or SILENCE_SECONDS,
        ),
        CROWD_SECONDS,
    )


def _open_when_free(open_once: Callable[[], Connection[Any]], seconds: float) -> Connection[Any]:
    """Open a connection, again while all of the server's are taken."""
    begun, pause, noticed = time.monotonic(), _FIRST_PAUSE, False
    while True:
        try:
            return open_once()
        except psycopg.OperationalError as error:
            if not is_crowded(error):
                raise
            waited, kind = time.monotonic() - begun, limited(error)
            if waited >= (min(seconds, LIMITED_SECONDS) if kind else seconds):
                raise crowded(waited, kind) from None
        if waited > _CROWD_NOTICE_SECONDS and not noticed:
            noticed = True
            _LOGGER.warning(
                "waiting for a free connection of the database, for up to %.0f s", seconds
            )
        time.sleep(pause * (0.5 + os.getpid() % 100 / 100))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _open_recovered(
    conninfo: str, words: Mapping[str, Any], silence_limit: float
) -> Connection[Any]:
    """Open a connection, again while the server says that it starts or recovers."""
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while True:
        try:
            return _open(conninfo, words, hidden=_SETTING_VARIABLES, silence_limit=silence_limit)
        except psycopg.OperationalError as error:
            if not any(phrase in str(error) for phrase in _RECOVERING):
                raise
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"the database still recovers after {_RECOVERY_SECONDS:.0f} s",
                    hint="type: pfa doctor",
                ) from None
        time.sleep(_PAUSE)


def _open(
    conninfo: str, words: Mapping[str, Any], *, hidden: Sequence[str], silence_limit: float
) -> Connection[Any]:
    def connect(**more: Any) -> WatchedConnection:
        with environment.hidden(hidden):
            return WatchedConnection.connect(
                conninfo,
                autocommit=True,
                application_name="pfa",
                client_encoding="utf-8",
                **{**words, **more},
            )

    def another() -> Connection[Any]:
        # Of several servers that the address names it has to be the same.
        place = {"host": conn.info.host, "port": conn.info.port, "hostaddr": conn.info.hostaddr}
        other = connect(**place, connect_timeout=ASK_SECONDS)
        other.silence_limit = ASK_SECONDS
        return other

    conn = connect()
    conn.silence_limit, conn.another = silence_limit, another
    set_json_loads(exact_json.loads, conn)
    set_json_dumps(exact_json.dumps, conn)
    conn.adapters.register_dumper(list, TextsDumper)
    conn.adapters.register_loader("timestamptz", TimeLoader)
    return conn


def _silence_limit(words: Mapping[str, Any]) -> float:
    """Return the seconds of silence that an address allows: its tcp_user_timeout."""
    try:
        limit = int(words.get("tcp_user_timeout") or 0)
    except ValueError:  # libpq's own message says so
        limit = 0
    return limit / 1000 if limit > 0 else SILENCE_SECONDS


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
