"""A database that a test has written in is as its template is when the next test gets it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pfa_core.store.database import Database
from tests import citus, put_back
from tests.factories import World, a_world, draft, record
from tests.server import Server
from tests.worlds import a_copy

pytestmark = [pytest.mark.every_version, citus.of_one_machine]


def world(url: str) -> World:
    """Two records, one of them drafted by ann."""
    made = a_world(url, record("P-1"), record("P-2"))
    draft(made.db, made.principal(), "P-1", model="A")
    return made


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    """The server, none of whose databases is left from other tests."""
    spares, postgres._spares = postgres._spares, []
    yield postgres
    postgres._touched += postgres._spares
    postgres._spares = spares


@contextmanager
def used(server: Server) -> Iterator[tuple[World, str]]:
    with a_copy(server, world) as copy:
        yield copy, str(conninfo_to_dict(copy.url)["dbname"])


def all_rows(url: str) -> dict[str, Any]:
    """Every row in its order on the disk, and what the planner and the catalogs know of the tables."""
    with closing(psycopg.connect(url, autocommit=True)) as conn:
        tables = conn.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
        rows: dict[str, Any] = {
            name: conn.execute(f"SELECT t::text FROM {name} t").fetchall() for (name,) in tables
        }
        rows["pfa_digest"] = conn.execute(
            "SELECT to_jsonb(d) - 'writer', d.writer = m.xmin"
            " FROM pfa_digest d JOIN pfa_mirror m USING (pfa_id)"
        ).fetchall()
        rows["sizes"] = conn.execute(
            "SELECT oid, relname, pg_relation_size(oid) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
        ).fetchall()
        rows["statistics"] = conn.execute(put_back._STATISTICS).fetchall()
        rows["of columns"] = conn.execute(
            "SELECT schemaname, tablename, attname FROM pg_stats WHERE"
            " schemaname = 'public' ORDER BY 1, 2, 3"
        ).fetchall()
    return rows


@pytest.mark.slow
def test_rows_are_those_of_the_template_whatever_was_written(server: Server) -> None:
    with used(server) as (copy, first):
        fresh = all_rows(copy.url)
        draft(copy.db, copy.principal(), "P-2", model="B")
        copy.execute("DELETE FROM pfa_mirror WHERE pfa_id = 'P-1'")
        copy.execute("UPDATE pfa_mirror SET data = jsonb_set(data, '{model}', '\"C\"')")
        copy.execute("DELETE FROM pfa_member")
        assert all_rows(copy.url) != fresh
    for _ in range(2):
        with used(server) as (copy, again):
            assert again == first
            assert all_rows(copy.url) == fresh
            draft(copy.db, copy.principal(), "P-2", model="B")


def test_a_transaction_that_was_rolled_back_leaves_nothing(server: Server) -> None:
    with used(server) as (copy, first):
        fresh = all_rows(copy.url)
        with psycopg.connect(copy.url) as conn:
            conn.execute("DELETE FROM pfa_mirror")
            conn.execute("ALTER TABLE pfa_mirror ADD COLUMN odd text")
            conn.rollback()
    with used(server) as (copy, again):
        assert again == first
        assert all_rows(copy.url) == fresh


def test_a_session_that_was_left_open_is_ended_and_what_it_wrote_is_gone(server: Server) -> None:
    with used(server) as (copy, first):
        fresh = all_rows(copy.url)
        open_still = psycopg.connect(copy.url)
        open_still.execute("DELETE FROM pfa_mirror")
        committed = psycopg.connect(copy.url, autocommit=True)
        committed.execute("DELETE FROM pfa_modification")
    for conn in (open_still, committed):
        with pytest.raises(psycopg.OperationalError), conn:
            conn.execute("SELECT 1")
    with used(server) as (copy, again):
        assert again == first
        assert all_rows(copy.url) == fresh


def test_indexes_that_have_grown_are_made_anew(server: Server) -> None:
    size = "SELECT pg_indexes_size('pfa_pull_page')"
    with used(server) as (copy, first):
        fresh, before = all_rows(copy.url), copy.rows(size)
        copy.execute(
            "INSERT INTO pfa_pull_page SELECT 'ORG', gen_random_uuid(), number, 1, '', '{}'"
            " FROM generate_series(1, 5000) number"
        )
        assert copy.rows(size) > before
    with used(server) as (copy, again):
        assert again == first
        assert copy.rows(size) == before
        assert all_rows(copy.url) == fresh


@pytest.mark.parametrize("statement", ["ANALYZE", "ANALYZE pfa_mirror", "ANALYZE pfa_member"])
def test_statistics_are_forgotten(server: Server, statement: str) -> None:
    with used(server) as (copy, first):
        fresh = all_rows(copy.url)
        draft(copy.db, copy.principal(), "P-2", model="B")
        with closing(psycopg.connect(copy.url, autocommit=True)) as conn:
            conn.execute(statement)
        assert all_rows(copy.url)["of columns"]
    with used(server) as (copy, again):
        assert again == first
        assert all_rows(copy.url) == fresh


def test_temporary_tables_do_not_hinder(server: Server) -> None:
    with used(server) as (copy, first):
        copy.execute("CREATE TEMPORARY TABLE odd (a int PRIMARY KEY, b text DEFAULT 'x')")
    with used(server) as (_, again):
        assert again == first


@pytest.mark.variants(4)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE odd (a int)",
        "CREATE INDEX odd ON pfa_mirror ((1))",
        "DROP INDEX pfa_mirror_area_silo",
        "CREATE FUNCTION odd() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SEQUENCE odd",
        "CREATE SCHEMA odd",
        "ALTER TABLE pfa_mirror DISABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON pfa_mirror TO PUBLIC",
        "COMMENT ON TABLE pfa_mirror IS 'odd'",
        "TRUNCATE pfa_mirror",
        "VACUUM pfa_mirror",
        "CREATE STATISTICS odd ON area_silo, category FROM pfa_mirror",
        "SELECT lo_create(0)",
        "ALTER DATABASE {} SET work_mem = '1MB'",
        "ALTER DATABASE {} CONNECTION LIMIT 50",
        "REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
    ],
)
def test_a_database_that_was_changed_otherwise_is_given_to_no_other_test(
    server: Server, statement: str
) -> None:
    with used(server) as (copy, first):
        copy.execute("DELETE FROM pfa_modification")
        with closing(psycopg.connect(copy.url, autocommit=True)) as conn:
            conn.execute(statement.format(first))
    with used(server) as (_, again):
        assert again != first


def test_a_test_that_fails_leaves_nothing_to_the_next(server: Server) -> None:
    seen: list[Any] = []

    def fails() -> None:
        with used(server) as (copy, first):
            seen.extend((first, all_rows(copy.url)))
            draft(copy.db, copy.principal(), "P-2", model="B")
            copy.db.connection().execute("BEGIN; DELETE FROM pfa_mirror")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    first, fresh = seen
    with used(server) as (copy, again):
        assert again == first
        assert all_rows(copy.url) == fresh


def test_a_session_of_a_role_that_was_changed_is_left_to_no_test(server: Server) -> None:
    asked = "SELECT pg_backend_pid(), current_setting('geqo_threshold')"

    def session(name: str) -> Any:
        with a_copy(server, world) as copy, Database(make_conninfo(copy.url, user=name)) as db:
            return db.read(lambda conn: conn.execute(asked).fetchone())

    name = f"pfa_test_changed_{os.getpid()}"
    with used(server):
        server.admin.execute(f"CREATE ROLE {name} SUPERUSER LOGIN")
    try:
        first, usual = session(name)
        assert session(name) == (first, usual)
        with used(server):
            server.admin.execute(f"ALTER ROLE {name} SET geqo_threshold = 21")
        again, limit = session(name)
        assert again != first
        assert limit == "21"
    finally:
        server.admin.execute(f"DROP ROLE {name}")


def test_a_database_that_was_put_back_is_a_template_itself(server: Server) -> None:
    with used(server) as (copy, first):
        draft(copy.db, copy.principal(), "P-2", model="B")
    with used(server) as (copy, again):
        assert again == first
        copy.db.close()
        copy.owner.close()
        server.sessions.end(again)
        with server.database(again) as url:
            assert all_rows(url)["pfa_mirror"]
        draft(copy.db, copy.principal(), "P-2", model="C")
    with used(server) as (copy, again):
        assert again == first
