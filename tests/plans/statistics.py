"""What the planner may know of the tables that users fill, put in as if ANALYZE had found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

# What saves, commits and the trail fill. The mirror is filled by pulls, which analyze it.
TABLES = ("pfa_modification", "pfa_overlay", "audit_log", "audit_link")
OF_PULLS = (
    *("pfa_mirror", "kpi_rollup", "kpi_overlay", "kpi_month", "kpi_field", "pfa_mirror_history"),
)
SINCE = 180000  # pg_restore_attribute_stats

_PAGES = """
    SELECT pg_relation_size(%(table)s::regclass) / current_setting('block_size')::integer"""
_CLEAR = """
    DELETE FROM pg_statistic WHERE starelid = %(table)s::regclass"""
_SIZE = """
    UPDATE pg_class SET reltuples = %(rows)s, relpages = %(pages)s
    WHERE oid = %(table)s::regclass
       OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = %(table)s::regclass)"""
_COLUMNS = """
    SELECT attname::text AS attname, inherited, null_frac, avg_width, n_distinct,
           most_common_vals::text AS most_common_vals, most_common_freqs,
           histogram_bounds::text AS histogram_bounds, correlation
    FROM pg_stats WHERE schemaname = current_schema() AND tablename = %(table)s"""
_KNOWN = """
    SELECT reltuples::float8, relpages FROM pg_class WHERE oid = %(table)s::regclass"""
_PUT = """
    SELECT pg_restore_attribute_stats('schemaname', current_schema()::text, 'relname', %(table)s::text,
        'attname', %(attname)s::text, 'inherited', %(inherited)s::boolean,
        'null_frac', %(null_frac)s::real, 'avg_width', %(avg_width)s::integer,
        'n_distinct', %(n_distinct)s::real, 'most_common_vals', %(most_common_vals)s::text,
        'most_common_freqs', %(most_common_freqs)s::real[],
        'histogram_bounds', %(histogram_bounds)s::text, 'correlation', %(correlation)s::real)"""


@dataclass(frozen=True)
class Known:
    """What is known of one table: rows, pages (None: as many as it has), columns."""

    rows: float
    pages: int | None
    columns: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


NEVER, EMPTY, EMPTIED = Known(-1, 0), Known(0, 0), Known(0, None)
State = Mapping[str, Known]
# Those that need no columns, which every version takes.
WITHOUT_COLUMNS: Mapping[str, State] = {
    "none": dict.fromkeys(TABLES, NEVER),
    "empty": dict.fromkeys(TABLES, EMPTY),
    "emptied": dict.fromkeys(TABLES, EMPTIED),
    "dump": dict.fromkeys((*TABLES, *OF_PULLS), NEVER),
}


def found(conn: Connection[Any], tables: tuple[str, ...] = TABLES) -> State:
    """What the catalog knows of the tables now."""
    return {table: _known(conn, table) for table in tables}


def put(conn: Connection[Any], state: State) -> None:
    """Let the catalog know this and no more of these tables.

    Before PostgreSQL 18 columns cannot be put in: where some are known, all are found again."""
    for table, known in state.items():
        if known.columns and conn.info.server_version < SINCE:
            conn.execute(f"ANALYZE {table}")
            continue
        pages = known.pages if known.pages is not None else _one(conn, _PAGES, table)[0]
        conn.execute(_CLEAR, {"table": table})
        conn.execute(_SIZE, {"table": table, "rows": known.rows, "pages": pages})
        for column in known.columns:
            conn.execute(_PUT, {"table": table, **column})


def _known(conn: Connection[Any], table: str) -> Known:
    rows, pages = _one(conn, _KNOWN, table)
    with conn.cursor(row_factory=dict_row) as cursor:
        return Known(rows, pages, tuple(cursor.execute(_COLUMNS, {"table": table})))


def _one(conn: Connection[Any], statement: Any, table: str) -> tuple[Any, ...]:
    row = conn.execute(statement, {"table": table}).fetchone()
    assert row is not None
    return row


# --- states with columns, as they come about ---------------------------------------------------

_COLUMN_NAMES = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), bool_or(attname = 'user_id')
    FROM pg_attribute
    WHERE attrelid = %(table)s::regclass AND attnum > 0 AND attgenerated = '' AND NOT attisdropped"""


def made(conn: Connection[Any], users: list[str]) -> dict[str, State]:
    """What ANALYZE finds while there are 10 or 500 rows of the users' in each table and no others, and while
    there are those of others alone. All is as before afterwards."""
    states: dict[str, State] = {}
    for name, whose, rows in (("at 10", "=", 10), ("at 500", "=", 500), ("another", "<>", None)):
        with conn.transaction(force_rollback=True):
            for table in TABLES:
                _keep(conn, table, whose, users, rows)
            states[name] = found(conn)
    return states


def _keep(
    conn: Connection[Any], table: str, whose: str, users: list[str], rows: int | None
) -> None:
    columns, of_users = _one(conn, _COLUMN_NAMES, table)
    quantified = "= ANY" if whose == "=" else "<> ALL"
    where = f"user_id {quantified} (%(users)s)" if of_users else "true"
    conn.execute(
        f"CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT {columns} FROM {table}"
        f" WHERE {where} LIMIT %(rows)s",
        {"users": users, "rows": rows},
    )
    conn.execute(f"TRUNCATE {table}; INSERT INTO {table} ({columns}) SELECT {columns} FROM kept")
    conn.execute(f"ANALYZE {table}; DROP TABLE kept")
