"""Databases made as their template is again, where no more than rows were written in them.

To copy a template and drop the copy takes 20 ms of the processor, to open the copy's first sessions as
much again; to empty the tables that were written in and to copy the template's rows back takes a third.
PostgreSQL counts the rows that are inserted, updated and deleted, in its catalogs too: what else was changed
in the database (its schema, rights) is found there, and such a database is not put back. Statistics are
forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, sql

# More rows are copied with the whole database sooner than one by one.
_MOST_BYTES = 256 * 1024
# A table that is emptied leaves its dead rows in the catalogs; at some time they are in the way.
_MOST_TIMES = 50

_TABLES = """
SELECT c.oid::bigint, n.nspname, c.relname, pg_relation_size(c.oid) <= %(most)s AND c.reltuples < 0,
    pg_indexes_size(c.oid) + %(growth)s * (SELECT count(*) FROM pg_index WHERE indrelid = c.oid),
    ARRAY(SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""

# Sequences and their like are put back by nothing here.
_OTHERS = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind NOT IN ('r', 'i', 't', 'v', 'c')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""

# Rows that were written, of each table of this database; those of the whole server are in every database.
_WRITTEN = """
SELECT oid::bigint, pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid)
    + pg_stat_get_tuples_deleted(oid) AS written
FROM pg_class WHERE relkind = 'r' AND NOT relisshared
"""

# How often a role, a membership or a setting of a role was written.
ROLES = """
SELECT sum(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid))
FROM pg_class WHERE relname IN ('pg_authid', 'pg_auth_members', 'pg_db_role_setting')
    AND relnamespace = 'pg_catalog'::regnamespace
"""

# VACUUM and ANALYZE write these in place, bulk writes of the program too.
_STATISTICS = """
SELECT c.oid::bigint, c.relpages, c.reltuples, c.relallvisible
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'i') AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
ORDER BY 1
"""

_SIZES = """
SELECT oid::bigint, pg_relation_size(oid), pg_indexes_size(oid) FROM unnest(%s::oid[]) AS t (oid)
"""
# Of each index: pages that have no entry any more stay.
_PAGE = 8192
_GROWTH = 2 * _PAGE

# VACUUM counts rows and pages, which the template's never were.
_AS_IF_NEVER_COUNTED = """
UPDATE pg_class c SET relpages = t.relpages, reltuples = t.reltuples, relallvisible = t.relallvisible
FROM unnest(%s::oid[], %s::int[], %s::real[], %s::int[]) AS t (oid, relpages, reltuples, relallvisible)
WHERE c.oid = t.oid AND (c.relpages, c.reltuples, c.relallvisible) <> (t.relpages, t.reltuples, t.relallvisible)
"""

# What ANALYZE finds in columns.
_OF_COLUMNS = """
SELECT 'pg_statistic'::regclass::oid::bigint, count(s.starelid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_statistic s ON s.starelid = c.oid
WHERE n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
"""
_AS_IF_NEVER_ANALYZED = """
DELETE FROM pg_statistic WHERE starelid = ANY (%s)
"""

# A session tells of what it wrote once a second; after this at once.
FLUSH = "SELECT pg_stat_force_next_flush()"

# The rows were checked when the template was made: no trigger looks at them again. What another session locks
# is not waited for.
_SETTINGS = (
    "SET session_replication_role = replica; SET lock_timeout = '2s'; SET statement_timeout = '30s'"
)

# What a temporary table leaves in the catalogs when it is gone: nothing but its schema.
_TEMPORARY = {
    name: sql.SQL("TRUE")
    for name in (
        "pg_class",
        "pg_attribute",
        "pg_type",
        "pg_index",
        "pg_constraint",
        "pg_depend",
        "pg_attrdef",
    )
} | {
    "pg_namespace": sql.SQL(
        "NOT starts_with(nspname, 'pg_temp_') AND NOT starts_with(nspname, 'pg_toast_temp_')"
    )
}


# A digest counts as long as its record's row is of the transaction that it names: the one that puts both back.
_MIRROR, _DIGESTS = "pfa_mirror", "pfa_digest"
_COUNTING = sql.SQL("""(SELECT nullif(d.writer::text, m.xmin::text) AS writer, {} FROM pfa_digest AS d
    JOIN pfa_mirror AS m ON m.organization_id = d.organization_id AND m.pfa_id = d.pfa_id)""")


@dataclass(frozen=True)
class Table:
    """A table's name and columns, the most bytes that its indexes may have when they are empty, and its rows,
    where they are few; of a `stamped` table those that begin with null name the transaction that writes them."""

    name: sql.Identifier
    columns: sql.Composed
    most_of_indexes: int
    rows: bytes | None
    stamped: bool

    def written_by(self, transaction: str) -> bytes:
        """The rows, as this transaction writes them."""
        rows = self.rows or b""
        return re.sub(rb"(?m)^\\N", transaction.encode(), rows) if self.stamped else rows


@dataclass(frozen=True)
class Contents:
    """What a template has: its tables and which of them are put back together, how many rows there are in its
    catalogs, and its statistics; the catalog of those of columns, where it has none of its tables."""

    tables: Mapping[int, Table]
    together: Set[int]
    catalogs: Mapping[int, tuple[str, int]]
    statistics: list[Any]
    of_columns: int | None


def contents(conn: Connection[Any]) -> Contents | None:
    """What is in this database; none where copies of it cannot be put back."""
    if conn.execute(_OTHERS).fetchone() != (0,):
        return None
    tables: dict[int, Table] = {}
    together: set[int] = set()
    for oid, schema, name, few, indexes, columns in conn.execute(
        _TABLES, {"most": _MOST_BYTES, "growth": _GROWTH}
    ):
        of = sql.Identifier(schema, name)
        listed = _names(columns)
        rows_of: sql.Composable = sql.SQL("{} ({})").format(of, listed)
        if name == _DIGESTS:
            listed = _names(["writer", *(each for each in columns if each != "writer")])
            rows_of = _COUNTING.format(
                sql.SQL(", ").join(
                    sql.Identifier("d", each) for each in columns if each != "writer"
                )
            )
        if name in (_MIRROR, _DIGESTS):
            together.add(oid)
        tables[oid] = Table(
            of, listed, indexes, _rows(conn, rows_of) if few else None, name == _DIGESTS
        )
    catalogs = {}
    for name, counted in _TEMPORARY.items():
        statement = sql.SQL("SELECT {}::regclass::oid::bigint, count(*) FROM {} WHERE {}")
        row = conn.execute(statement.format(name, sql.Identifier(name), counted)).fetchone()
        catalogs[row[0]] = name, row[1]
    row = conn.execute(_OF_COLUMNS).fetchone()
    of_columns = row[0] if row and row[1] == 0 else None
    return Contents(tables, together, catalogs, conn.execute(_STATISTICS).fetchall(), of_columns)


def _visible(statistics: Iterable[Any]) -> list[tuple[int, int]]:
    return [(oid, visible) for oid, _, _, visible in statistics]


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _rows(conn: Connection[Any], of: sql.Composable) -> bytes:
    with conn.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(of)) as copy:
        return b"".join(map(bytes, copy))


@dataclass
class Copy:
    """A database that was made from a template before the transaction `began`; a session of its own
    looks at it, from the first time on that it is put back."""

    contents: Contents
    url: str
    began: str
    conn: Connection[Any] | None = None
    _written: dict[int, int] = field(default_factory=dict)
    _times: int = 0

    def put_back(self) -> bool:
        """Make the database as its template is; whether it now is. Nothing else is at work in it."""
        self._times += 1
        if self._times > _MOST_TIMES:
            return False
        with suppress(psycopg.Error):
            if self.conn is None:
                self.conn = psycopg.connect(self.url, autocommit=True)
                self.conn.execute(_SETTINGS)
            return self._put_back(self.conn)
        return False

    def close(self) -> None:
        """End its session; the next time that it is put back it has another."""
        if self.conn:
            self.conn.close()
            self.conn = None

    def _put_back(self, conn: Connection[Any]) -> bool:
        tables = self.contents.tables
        now = _written(conn)
        touched = [oid for oid, rows in now.items() if rows != self._written.get(oid, 0)]
        if not self.contents.together.isdisjoint(touched):
            touched = [*touched, *self.contents.together.difference(touched)]
        emptied = {oid: tables[oid] for oid in touched if oid in tables}
        analyzed = self.contents.of_columns in touched
        known = {*tables, self.contents.of_columns}
        catalogs = [oid for oid in touched if oid not in known]
        if any(table.rows is None for table in emptied.values()):
            return False
        if not all(self._is_as_before(conn, oid) for oid in catalogs):
            return False
        statistics = conn.execute(_STATISTICS).fetchall()
        counted = statistics != self.contents.statistics
        if counted and _visible(statistics) != _visible(self.contents.statistics):
            return False  # VACUUM gives back pages, too
        if emptied or counted or analyzed:
            grown = _empty(conn, emptied) if emptied else []
            with conn.transaction():
                if grown:
                    conn.execute(sql.SQL("TRUNCATE {}").format(_listed(grown)))
                _fill(conn, list(emptied.values()))
                columns = map(list, zip(*self.contents.statistics, strict=True))
                conn.execute(_AS_IF_NEVER_COUNTED, list(columns))
                if analyzed:
                    conn.execute(_AS_IF_NEVER_ANALYZED, [list(tables)])
        self._written = _written(conn)
        self.began = next_transaction(conn)
        return True

    def _is_as_before(self, conn: Connection[Any], oid: int) -> bool:
        """Whether the rows of a catalog that can be seen are those that were there."""
        if oid not in self.contents.catalogs:
            return False
        name, rows = self.contents.catalogs[oid]
        statement = sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE age(xmin) <= age({}::xid)) FROM {} WHERE {}"
        )
        words = self.began, sql.Identifier(name), _TEMPORARY[name]
        return conn.execute(statement.format(*words)).fetchone() == (rows, 0)


def next_transaction(conn: Connection[Any]) -> str:
    """The number that the next transaction that writes will have."""
    row = conn.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text").fetchone()
    return str(row and row[0])


def _written(conn: Connection[Any]) -> dict[int, int]:
    conn.execute(FLUSH)
    return dict(conn.execute(_WRITTEN).fetchall())


def _empty(conn: Connection[Any], tables: Mapping[int, Table]) -> list[Table]:
    """Empty the tables; those of them that have yet to be truncated, for their indexes have grown.

    To truncate a table makes its file and those of its indexes anew, which takes longer. The dead rows of one
    page stay: VACUUM takes five times as long as to delete them, and makes each session plan all its statements
    anew. The planner knows no table's number of rows here, and takes each that is smaller for ten pages.
    """
    deleted = sql.SQL("; ").join(
        sql.SQL("DELETE FROM {}").format(table.name) for table in tables.values()
    )
    conn.execute(deleted)
    large = [oid for oid, rows, _ in conn.execute(_SIZES, [list(tables)]) if rows > _PAGE]
    if not large:
        return []
    vacuumed = sql.SQL("VACUUM (INDEX_CLEANUP ON, TRUNCATE ON) {}")
    conn.execute(vacuumed.format(_listed(tables[oid] for oid in large)))
    return [
        tables[oid]
        for oid, rows, indexes in conn.execute(_SIZES, [large])
        if rows or indexes > tables[oid].most_of_indexes
    ]


def _listed(tables: Iterable[Table]) -> sql.Composed:
    return sql.SQL(", ").join(table.name for table in tables)


def _fill(conn: Connection[Any], tables: list[Table]) -> None:
    row = conn.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    transaction = str(row and row[0])
    for table in tables:
        if table.rows:
            into = sql.SQL("COPY {} ({}) FROM STDIN").format(table.name, table.columns)
            with conn.cursor().copy(into) as copy:
                copy.write(table.written_by(transaction))
