"""The schema of a database, compared with the one that the program needs."""

from __future__ import annotations

from psycopg import Connection, errors

from pfa_core import sql
from pfa_core.errors import ConfigInvalid, SchemaOutdated
from pfa_core.model.pooling import Pooling
from pfa_core.sql.names import typed
from pfa_core.store import session

_SQL = sql.statements("schema")
_SCHEMAS = {None: "no schema of pfa", 0: "a schema from before the first release"}


def program_version() -> int:
    """Return the schema that this program needs."""
    return sql.newest_migration()


def version(conn: Connection, pooling: Pooling = Pooling.DETECTED) -> int | None:
    """Return the number of the newest migration applied.

    None: no schema; 0: from before the release. As the first question to a new connection it sets the
    session's settings too.

    Args:
        pooling: Whether a pooler lies between.

    Raises:
        ConfigInvalid: A time limit of the role or the database ends even that.
    """
    try:
        row = session.settle(conn, _SQL["has_migrations"], pooling)
    except (errors.QueryCanceled, errors.LockNotAvailable) as error:
        raise ConfigInvalid(
            "a time limit that the role or the database sets ends the first statement of a session",
            hint=f"an administrator types: ALTER ROLE {typed(conn.info.user)} RESET ALL",
        ) from error
    if not row or not row[0]:
        return None
    newest = conn.execute(_SQL["newest"]).fetchone()
    return newest[0] if newest else None


def require_found(conn: Connection) -> None:
    """Refuse a session whose search_path does not lead to pfa's tables.

    Raises:
        ConfigInvalid: They are in another schema.
    """
    row = conn.execute(_SQL["elsewhere"]).fetchone()
    if row:
        place, path, role = row
        raise ConfigInvalid(
            f"the search_path of {role} is {path}; pfa's tables are in the schema {place}",
            hint=f"an administrator types: ALTER ROLE {typed(role)} RESET search_path",
        )


def size_and_version(conn: Connection) -> tuple[int, str]:
    """Return the size of the database in bytes, and the server's version."""
    row = conn.execute(_SQL["size"]).fetchone()
    return (row[0], row[1]) if row else (0, "")


def require_not_newer(number: int) -> None:
    """Raise SchemaOutdated where the schema is newer than the program's own."""
    if number > program_version():
        raise SchemaOutdated(
            f"the database has schema {number}, newer than this program's {program_version()}",
            hint="install the newer pfa",
        )


def require_current(number: int | None) -> None:
    """Raise SchemaOutdated unless the schema is the program's own."""
    if number is not None:
        require_not_newer(number)
    if number != program_version():
        has = _SCHEMAS.get(number, f"schema {number}")
        raise SchemaOutdated(
            f"the database has {has}; this program needs {program_version()}",
            hint="type: pfa db upgrade",
        )
