"""A database as a whole: its organizations, its emptiness, another one beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from secrets import token_hex
from typing import Any, LiteralString, cast

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from pfa_core import sql
from pfa_core.errors import ConfigInvalid
from pfa_core.model.ids import OrganizationId

_SQL = sql.statements("whole")
_MOST_NAMED = 5
_MAKE = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
_CONTENT = SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {} AS t")
_DROP = SQL("DROP DATABASE IF EXISTS {}{}")


def major(conn: Connection[Any]) -> int:
    """Read the server's major version."""
    row = conn.execute(_SQL["major"]).fetchone()
    return row[0] if row else 0


def organizations(conn: Connection[Any]) -> list[OrganizationId]:
    """List the organizations; none where the database has no table of them."""
    found = conn.execute(_SQL["has_organizations"]).fetchone()
    if not found or not found[0]:
        return []
    return [row[0] for row in conn.execute(_SQL["organizations"])]


def other_tables(conn: Connection[Any]) -> list[str]:
    """List some tables that are not of pfa."""
    return [row[0] for row in conn.execute(_SQL["others"], {"limit": _MOST_NAMED})]


def other_databases(conn: Connection[Any]) -> list[str]:
    """List the databases of an embedded server that are not of pfa."""
    return [row[0] for row in conn.execute(_SQL["databases"])]


def contents(conn: Connection[Any]) -> dict[str, tuple[int, Decimal]]:
    """Read what is in each table: how many rows, and a sum over their texts.

    Equal rows give the same sum on every version of PostgreSQL: partitions of a table depend on that hash too.
    """
    found = {}
    for (name,) in conn.execute(_SQL["tables"]).fetchall():
        row = conn.execute(_CONTENT.format(Identifier(name))).fetchone()
        found[name] = row or (0, Decimal(0))
    return found


def make_embedded(conn: Connection[Any], statements: Sequence[str]) -> None:
    """Make an embedded server's database, and the roles of pg_dumpall's statements."""
    conn.execute("CREATE DATABASE pfa")
    for statement in statements:
        conn.execute(SQL(cast("LiteralString", statement)))  # of PostgreSQL's own program


def clear(conn: Connection[Any]) -> None:
    """Drop the tables and functions of pfa, which the caller has found to be empty."""
    conn.execute(_SQL["clear"])


def let_owner_copy(conn: Connection[Any]) -> None:
    """Release the owner from the policies of all tables.

    Into a table with policies nothing is copied.
    """
    conn.execute(_SQL["owner_policies"].format(force="NO FORCE"))


def bind_owner(conn: Connection[Any]) -> None:
    """Apply policies to the owner again."""
    conn.execute(_SQL["owner_policies"].format(force="FORCE"))


def index(conn: Connection[Any]) -> None:
    """Make the indexes of the mirror, which a database gets with its first records."""
    conn.execute(_SQL["index"])


def analyze(conn: Connection[Any]) -> None:
    """Make statistics of all tables."""
    conn.execute(_SQL["analyze"])


def ensure_role(conn: Connection[Any]) -> None:
    """Make the role that the program works as, where the server lacks it.

    Raises:
        ConfigInvalid: The address may not make roles.
    """
    row = conn.execute(_SQL["has_role"]).fetchone()
    if row and row[0]:
        return
    try:
        conn.execute(_SQL["make_role"])
    except errors.InsufficientPrivilege as error:
        raise ConfigInvalid(
            "the role pfa_app, which pfa works as, does not exist, and this role may not create it",
            hint="an administrator types: CREATE ROLE pfa_app; then repeat the command",
        ) from error


def address_of(address: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return make_conninfo(address, dbname=name)


@contextmanager
def scratch(conn: Connection[Any]) -> Iterator[str]:
    """Make an empty database for the block, of the name that is returned.

    The session that makes it is in its name: those of processes that were killed are dropped first.

    Raises:
        ConfigInvalid: The address may not make databases.
    """
    _drop_abandoned(conn)
    row = conn.execute(_SQL["session"]).fetchone()
    name = f"pfa_verify_{row[0] if row else 0}_{token_hex(6)}"
    try:
        conn.execute(_MAKE.format(Identifier(name)))
    except errors.InsufficientPrivilege as error:
        raise ConfigInvalid(
            "the backup is verified in a database beside this one, and this role may not make any",
            hint="an administrator types: ALTER ROLE … CREATEDB; or without: add --no-verify",
        ) from error
    try:
        yield name
    finally:
        with suppress(psycopg.Error):
            conn.execute(_DROP.format(Identifier(name), SQL(" WITH (FORCE)")))


def _drop_abandoned(conn: Connection[Any]) -> None:
    for row in conn.execute(_SQL["abandoned"]).fetchall():
        with suppress(psycopg.Error):  # another process drops it, or looks into it
            conn.execute(_DROP.format(Identifier(row[0]), SQL("")))
