"""The connection of a handle, with the schema that the program needs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from pfa_core.errors import Internal
from pfa_core.model.pooling import Pooling
from pfa_core.store import schema
from pfa_core.store.connection import open_connection, open_embedded
from pfa_core.store.embedded import address
from pfa_core.store.rls import APP_ROLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a handle connects to, with the fields of `Database`."""

    conninfo: str | None = field(repr=False)
    root: Path | None
    named_by: str
    owner: bool
    require_schema: bool
    silence_limit: float | None
    pooling: Pooling


def open_handle(target: Target) -> Connection[Any]:
    """Open a connection whose settings are the program's, and require the schema.

    The embedded server is started where it does not run.

    Raises:
        ConfigInvalid, DatabaseUnavailable, SchemaOutdated: It cannot be used.
    """
    if target.conninfo is not None:
        named = open_connection(target.conninfo, target.named_by, target.silence_limit)
        return _checked(target, named)
    if target.owner or not target.require_schema:
        return _checked(target, _open_embedded(target))
    return _open_bound(target)


def _checked(target: Target, conn: Connection[Any]) -> Connection[Any]:
    try:
        _check_schema(target, conn)
    except BaseException:
        conn.close()
        raise
    return conn


def _open_bound(target: Target) -> Connection[Any]:
    """Connect as the role under row-level security.

    Where the owner's set-up is missing, it comes first.
    """
    with suppress(psycopg.Error):
        conn = _open_as_role(target)
        with suppress(psycopg.Error):
            if schema.version(conn) == schema.program_version():
                return conn
        conn.close()
    from pfa_core.store import migrations

    with _checked(target, _open_embedded(target)) as owner:
        migrations.allow_app_login(owner)
    return _checked(target, _open_as_role(target))


def _open_as_role(target: Target) -> Connection[Any]:
    return open_embedded(address.conninfo(_root(target), user=APP_ROLE), target.silence_limit)


def _open_embedded(target: Target) -> Connection[Any]:
    root = _root(target)
    try:
        return open_embedded(address.conninfo(root), target.silence_limit)
    except psycopg.OperationalError:
        # Only a server that is not running needs what starts one: most commands find it up.
        from pfa_core.store.embedded import server

        return open_embedded(server.ensure(root), target.silence_limit)


def _root(target: Target) -> Path:
    if target.root is None:
        raise Internal("neither an address nor a directory was given")
    return target.root


def _check_schema(target: Target, conn: Connection[Any]) -> None:
    """Require the program's own schema.

    The question for it also sets the session's settings. Only the embedded server is upgraded without being asked.
    """
    version = schema.version(conn, target.pooling)
    if not target.require_schema:
        return
    if target.conninfo is None and version != schema.program_version():
        from pfa_core.store import migrations

        version = migrations.upgrade_with_others(conn)
    if version is None:
        schema.require_found(conn)
    schema.require_current(version)
