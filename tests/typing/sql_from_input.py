"""Statements made from input: the type checker refuses each, or it fails on this file.

Nothing runs it. `reportUnnecessaryTypeIgnoreComment` is an error here: were one of these lines accepted, its
comment would be unnecessary. What the checker accepts are literals and texts joined from them, the package's own
SQL files (the casts in `pfa_core/sql/__init__.py` and the one in `store/prerelease.py`, no others) and
`psycopg.sql`'s composition, which quotes.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

from pfa_core.sql import statements


def by_concatenation(conn: Connection[Any], pfa_id: str) -> None:
    """The ignore is the proof: a str joined to a literal is not a LiteralString."""
    conn.execute("SELECT 1 FROM pfa_mirror WHERE pfa_id = '" + pfa_id + "'")  # pyright: ignore[reportArgumentType, reportCallIssue]


def by_format(conn: Connection[Any], pfa_id: str) -> None:
    """The ignores are the proof: neither f-string, format nor % makes a LiteralString of a str. The old ways
    are meant, hence the linter's two."""
    conn.execute(f"SELECT 1 FROM pfa_mirror WHERE pfa_id = '{pfa_id}'")  # pyright: ignore[reportArgumentType, reportCallIssue]
    conn.execute("SELECT 1 WHERE 'x' = '{}'".format(pfa_id))  # noqa: UP032  # pyright: ignore[reportArgumentType, reportCallIssue]
    conn.execute("SELECT 1 WHERE 'x' = '%s'" % pfa_id)  # noqa: UP031  # pyright: ignore[reportArgumentType, reportCallIssue]


def whole(conn: Connection[Any], statement: str) -> None:
    """The ignores are the proof: no way of execution takes a str."""
    conn.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]
    with conn.cursor() as cursor:
        cursor.executemany(statement, [])  # pyright: ignore[reportArgumentType]
        cursor.copy(statement)  # pyright: ignore[reportArgumentType]


def as_a_piece(conn: Connection[Any], condition: str) -> None:
    """The ignore is the proof: no str becomes a piece of SQL."""
    piece = sql.SQL(condition)  # pyright: ignore[reportArgumentType]
    conn.execute(sql.SQL("SELECT 1 WHERE {}").format(piece))


def after_a_statement_of_the_package(conn: Connection[Any], condition: str) -> None:
    """The ignore is the proof: a statement of the package followed by a str is not a literal."""
    conn.execute(statements("merged")["values"] + condition)  # pyright: ignore[reportArgumentType, reportCallIssue] - the proof


def as_a_value(conn: Connection[Any], pfa_id: str) -> None:
    """What is taken: a parameter, an identifier and a literal that psycopg quotes."""
    conn.execute("SELECT 1 WHERE 'x' = %s", (pfa_id,))
    conn.execute(sql.SQL("SELECT {}").format(sql.Literal(pfa_id)))
    conn.execute(sql.SQL("SELECT {} FROM pfa_mirror").format(sql.Identifier(pfa_id)))
