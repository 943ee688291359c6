"""Rows of a backup of distributed tables, restored into a schema with policies.

Distributed tables have no policies, and the program's role has wider privileges on them. Restored as they were,
they would be tables of one machine that nothing guards: of such a backup the rows alone are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import psycopg
from psycopg import Connection

from pfa_core.config.settings import Settings
from pfa_core.errors import InvalidData
from pfa_core.store import distribution, migrations, schema, transfer, whole_database
from pfa_core.transfer.programs import Program, from_start, output

_MIGRATIONS = "pfa_schema_migration"
_COPY = re.compile(r'COPY (?:[\w."]+\.)?"?(\w+)"? \(([\w", ]+)\) FROM stdin;\n')
_END = b"\\.\n"
# What else pg_restore writes around the rows of tables: blank lines, comments, settings of its session, and the
# lock by which it keeps psql from commands among the rows.
_AROUND = re.compile(
    r"\n|--|SET (?!client_encoding)|SET client_encoding = 'UTF8';|SELECT pg_catalog\.set_config"
    r"|\\(?:un)?restrict "
)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table in COPY's text format, which are read once and in order."""

    table: str
    columns: list[str]
    lines: Iterator[bytes]


def restore_rows(
    conn: Connection[Any], settings: Settings, program: Program, file: BinaryIO
) -> None:
    """Make the schema of a backup and restore its rows into it, in one transaction.

    The tables of pfa that were there have no rows; they are replaced.

    Args:
        file: The backup, a file that can be read from its start again.

    Raises:
        InvalidData: A table does not take a row, the backup has other tables, or no rows as COPY has them.
        SchemaOutdated: It is of a newer pfa.
    """
    version = _schema_version(settings, program, file)
    schema.require_not_newer(version)
    with conn.transaction(), _refusals():
        clear(conn)
        migrations.make(conn, version)
        whole_database.let_owner_copy(conn)
        with _script(settings, program, file) as parts:
            for part in parts:
                _require_known(conn, part)
                transfer.replace_all(conn, part.table, part.columns, part.lines)
        whole_database.index(conn)
        whole_database.bind_owner(conn)


def clear(conn: Connection[Any]) -> None:
    """Drop the tables and functions of pfa, which the caller has found to be empty."""
    with conn.transaction():
        if distribution.is_distributed(conn):
            distribution.use_one_connection(conn)
        whole_database.clear(conn)


def parts_of(script: Iterator[bytes]) -> Iterator[Part]:
    """Split the script of a data-only restore into the rows of its tables.

    Raises:
        InvalidData: It has statements beside COPY.
    """
    for content in script:
        line = content.decode("latin-1")  # names of pfa are ASCII
        match = _COPY.fullmatch(line)
        if match:
            columns = [name.strip().strip('"') for name in match[2].split(",")]
            yield Part(match[1], columns, _rows(script))
        elif not _AROUND.match(line):
            raise InvalidData("the backup has more than rows of tables as COPY writes them")


def _rows(script: Iterator[bytes]) -> Iterator[bytes]:
    # No row is this line: a backslash in a value is written twice.
    return iter(script.__next__, _END)


@contextmanager
def _script(
    settings: Settings, program: Program, file: BinaryIO, *more: str
) -> Iterator[Iterator[Part]]:
    arguments = ["--data-only", "--file=-", *more]
    with output(program, arguments, settings, from_start(file)) as script:
        yield parts_of(script)


def _schema_version(settings: Settings, program: Program, file: BinaryIO) -> int:
    """Read the number of the newest migration in a backup."""
    found = [0]
    with _script(settings, program, file, f"--table={_MIGRATIONS}") as parts:
        for part in parts:
            place = part.columns.index("version")
            found += [int(line.split(b"\t")[place]) for line in part.lines]
    return max(found)


def _require_known(conn: Connection[Any], part: Part) -> None:
    lacking = set(part.columns) - set(transfer.columns(conn, part.table))
    if lacking:
        raise InvalidData(
            f"the backup has {part.table} with {', '.join(sorted(lacking))}, which its schema has not"
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """Say which table does not take a row, and why, without the row."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        table, why = error.diag.table_name or "a table", error.diag.message_primary or ""
        constraint = error.diag.constraint_name
        reason = f"by {constraint}" if constraint else why.partition(":")[0]
        raise InvalidData(f"{table} does not take a row: {reason}") from error
