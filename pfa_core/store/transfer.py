"""Rows of an organization in COPY's text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from pfa_core import sql
from pfa_core.model.ids import OrganizationId
from pfa_core.model.member import OrganizationStatus
from pfa_core.store import rls

_SQL = sql.statements("transfer")
ORGANIZATION = "organization_id"  # the first column of each
_READ = SQL("COPY (SELECT {columns} FROM {table} WHERE {organization} = %s) TO STDOUT")
_COUNT = SQL("SELECT count(*) FROM {table} WHERE {organization} = %s")
_WRITE = SQL("COPY {table} ({columns}) FROM STDIN")
_CLEAR = SQL("DELETE FROM {table}")
# PostgreSQL copies into no table with policies, not even as its owner.
_BESIDE = Identifier("pfa_arriving")
_MAKE_BESIDE = SQL(
    "CREATE TEMPORARY TABLE {beside} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
)
_TAKE = SQL(
    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {beside} WHERE {organization} = %s"
)
_EMPTY, _DROP = SQL("TRUNCATE {beside}"), SQL("DROP TABLE {beside}")


def columns(conn: Connection[Any], table: str) -> list[str]:
    """List the columns of a table that are written, the organization first.

    None: there is no such table.
    """
    return [row[0] for row in conn.execute(_SQL["columns"], {"table": table})]


def count(conn: Connection[Any], organization_id: OrganizationId, table: str) -> int:
    """Count the organization's rows of a table."""
    row = conn.execute(_composed(_COUNT, table), [organization_id]).fetchone()
    return row[0] if row else 0


def read(
    conn: Connection[Any], organization_id: OrganizationId, table: str, names: Sequence[str]
) -> Iterator[bytes]:
    """Yield the organization's rows of a table in COPY's text format."""
    with (
        conn.cursor() as cursor,
        cursor.copy(_composed(_READ, table, names), [organization_id]) as copy,
    ):
        for block in copy:
            yield bytes(block)


def are_all_of(organization_id: OrganizationId, content: bytes) -> bool:
    """Return whether each of these rows begins with the organization.

    A code has no character that COPY escapes, and no row has a line end that is not escaped.
    """
    head = f"{organization_id}\t".encode()
    return (
        content.startswith(head)
        and content.count(b"\n" + head) == content.count(b"\n") - 1
        and b"\r" not in content
    )


def write(
    conn: Connection[Any],
    organization_id: OrganizationId,
    table: str,
    names: Sequence[str],
    blocks: Iterable[bytes],
) -> None:
    """Write rows of the organization into a table.

    Raises:
        psycopg.IntegrityError, psycopg.DataError: The table takes none such.
    """
    if not rls.status(conn).active:
        _copy(conn, _composed(_WRITE, table, names), blocks)
        return
    conn.execute(_composed(_MAKE_BESIDE, table, names))
    for block in blocks:
        copying = _WRITE.format(table=_BESIDE, columns=_listed(names))
        _copy(conn, copying, [block])
        conn.execute(_composed(_TAKE, table, names), [organization_id])
        conn.execute(_composed(_EMPTY, table))
    conn.execute(_composed(_DROP, table))


def replace_all(
    conn: Connection[Any], table: str, names: Sequence[str], blocks: Iterable[bytes]
) -> None:
    """Replace what a table without policies has by rows of all organizations.

    Raises:
        psycopg.IntegrityError, psycopg.DataError: The table takes none such.
    """
    conn.execute(_composed(_CLEAR, table))
    _copy(conn, _composed(_WRITE, table, names), blocks)


def put_status(
    conn: Connection[Any], organization_id: OrganizationId, status: OrganizationStatus
) -> None:
    """Store the status of an organization, as the owner of the tables."""
    conn.execute(_SQL["put_status"], {"organization_id": organization_id, "status": status})


def status_before(
    conn: Connection[Any], organization_id: OrganizationId
) -> OrganizationStatus | None:
    """Read what the organization was before it was archived last.

    None: the trail does not say.
    """
    row = conn.execute(_SQL["status_before"], {"organization_id": organization_id}).fetchone()
    return OrganizationStatus(row[0]) if row else None


def is_refusal(error: psycopg.Error) -> bool:
    """Return whether a table refuses rows for what they hold."""
    return isinstance(error, (psycopg.IntegrityError, psycopg.DataError))


def _copy(conn: Connection[Any], statement: Composed, blocks: Iterable[bytes]) -> None:
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)


def _composed(statement: SQL, table: str, names: Sequence[str] = ()) -> Composed:
    return statement.format(
        table=Identifier(table),
        columns=_listed(names),
        organization=Identifier(ORGANIZATION),
        beside=_BESIDE,
    )


def _listed(names: Sequence[str]) -> Composed:
    return SQL(", ").join(map(Identifier, names))
