"""Migrations: once each, in one piece, by one at a time, and never over a changed one.

The runner is tested with three small migrations of the test's own; what the real ones make is tested in
test_schema.py.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from pfa_core import sql
from pfa_core.errors import ConfigInvalid, SchemaOutdated
from pfa_core.store import migrations, schema
from pfa_core.store.database import Database
from pfa_core.store.migrations import UpgradeReport

pytestmark = pytest.mark.every_version

SMALL = [
    (1, "0001_fruit.sql", "CREATE TABLE fruit (name text PRIMARY KEY);"),
    (
        2,
        "0002_colour.sql",
        "ALTER TABLE fruit ADD COLUMN colour text; INSERT INTO fruit VALUES ('apple');",
    ),
    (3, "0003_tree.sql", "CREATE TABLE tree (name text REFERENCES fruit);"),
]
ALL = tuple(name for _, name, _ in SMALL)
NEWEST = 3
LOCKS = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {migrations._LOCK}"
REAL = sql.migrations()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Give the runner the small migrations; returns a function that adds another."""
    known = [*SMALL]
    monkeypatch.setattr(sql, "migrations", lambda: known)
    monkeypatch.setattr(sql, "newest_migration", lambda: known[-1][0])
    return known.append


@pytest.fixture
def empty(empty_database_url):
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def migrated(empty):
    migrations.upgrade(empty)
    return empty


def tables(connection) -> list[str]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return sorted(row[0] for row in found)


def test_migrations_are_numbered_from_one_without_gaps_and_named_for_what_they_bring():
    assert [number for number, _, _ in REAL] == list(range(1, len(REAL) + 1))
    assert all(name[4] == "_" and name.endswith(".sql") for _, name, _ in REAL)


def test_the_program_needs_the_newest_one():
    assert schema.program_version() == NEWEST


def test_an_empty_database_gets_them_all(empty):
    assert schema.version(empty) is None
    assert migrations.upgrade(empty) == UpgradeReport(0, NEWEST, ALL)
    assert schema.version(empty) == NEWEST
    assert tables(empty) == ["fruit", "pfa_schema_migration", "tree"]
    assert empty.execute("SELECT name, colour FROM fruit").fetchall() == [("apple", None)]
    recorded = "SELECT version, name FROM pfa_schema_migration ORDER BY version"
    assert empty.execute(recorded).fetchall() == [(number, name) for number, name, _ in SMALL]


def test_a_database_gets_those_that_it_lacks(migrated, small):
    small((4, "0004_leaf.sql", "CREATE TABLE leaf (a int);"))
    assert migrations.upgrade(migrated) == UpgradeReport(NEWEST, 4, ("0004_leaf.sql",))
    assert "leaf" in tables(migrated)
    assert schema.version(migrated) == 4


def test_a_second_upgrade_applies_nothing(migrated):
    before = tables(migrated)
    assert migrations.upgrade(migrated) == UpgradeReport(NEWEST, NEWEST, ())
    assert tables(migrated) == before


def test_a_dry_run_tells_the_same_and_leaves_nothing(empty):
    assert migrations.upgrade(empty, dry_run=True) == UpgradeReport(0, NEWEST, ALL)
    assert tables(empty) == []
    assert schema.version(empty) is None
    assert migrations.upgrade(empty) == UpgradeReport(0, NEWEST, ALL)


def test_a_database_that_is_newer_than_the_program_is_refused(migrated):
    migrated.execute(
        "INSERT INTO pfa_schema_migration VALUES (%s, 'x.sql', 'x', now())", [NEWEST + 1]
    )
    with pytest.raises(SchemaOutdated, match="newer"):
        migrations.upgrade(migrated)
    with pytest.raises(SchemaOutdated, match="newer"):
        schema.require_current(NEWEST + 1)


@pytest.mark.parametrize(
    ("version", "stated"),
    [
        (None, "no schema"),
        (0, "a schema from before the first release"),
        (NEWEST - 1, f"schema {NEWEST - 1}"),
    ],
)
def test_the_error_for_a_database_older_than_the_program_says_how_to_upgrade(version, stated):
    with pytest.raises(SchemaOutdated, match=stated) as caught:
        schema.require_current(version)
    assert caught.value.hint == "type: pfa db upgrade"
    schema.require_current(NEWEST)


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(migrated):
    migrated.execute("UPDATE pfa_schema_migration SET checksum = 'x' WHERE version = 1")
    with pytest.raises(ConfigInvalid, match=f"{ALL[0]} is not the one"):
        migrations.upgrade(migrated)


def test_after_a_refusal_nothing_is_kept_waiting(migrated):
    migrated.execute("UPDATE pfa_schema_migration SET checksum = 'x' WHERE version = 1")
    with pytest.raises(ConfigInvalid):
        migrations.upgrade(migrated)
    assert migrated.execute(LOCKS).fetchone() == (0,)


def test_a_migration_that_fails_leaves_nothing_of_itself(empty, small):
    small((NEWEST + 1, "9999_bad.sql", "CREATE TABLE half (a int); SELECT 1 / 0;"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrations.upgrade(empty)
    assert "half" not in tables(empty)
    assert schema.version(empty) == NEWEST
    assert empty.execute(LOCKS).fetchone() == (0,)


def test_an_extension_that_the_server_lacks_is_named_with_its_cure(empty, small):
    small((NEWEST + 1, "9999_bad.sql", "CREATE EXTENSION no_such_extension;"))
    with pytest.raises(
        ConfigInvalid, match=r"lacks an extension that migration 9999_bad\.sql"
    ) as stated:
        migrations.upgrade(empty)
    assert "contrib" in stated.value.hint
    assert schema.version(empty) == NEWEST


def test_two_upgrades_at_once_both_succeed_and_each_migration_is_applied_once(empty_database_url):
    together = Barrier(2)

    def upgrade(_: int) -> UpgradeReport:
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            together.wait()
            return migrations.upgrade(connection)

    with ThreadPoolExecutor(2) as pool:
        reports = sorted(pool.map(upgrade, range(2)), key=lambda report: report.before)
    assert reports == [UpgradeReport(0, NEWEST, ALL), UpgradeReport(NEWEST, NEWEST, ())]


def test_a_handle_refuses_a_database_without_the_schema_unless_it_need_not_have_one(
    empty_database_url,
):
    with Database(empty_database_url) as db, pytest.raises(SchemaOutdated, match="no schema"):
        db.read(lambda conn: None)
    with Database(empty_database_url, require_schema=False) as db:
        assert db.administer(migrations.upgrade).applied == ALL
    with Database(empty_database_url) as db:
        assert db.read(schema.version) == NEWEST


def test_size_and_version_are_read(migrated):
    size, version = schema.size_and_version(migrated)
    assert size > 1_000_000
    assert version[:2].isdigit()


@pytest.mark.skipif("PFA_TEST_DATABASE_URL" in os.environ, reason="needs a server without pfa_app")
def test_a_role_that_is_missing_and_may_not_be_created_is_named_with_its_cure(
    postgres, monkeypatch
):
    text = "DO $$ BEGIN CREATE ROLE pfa_missing NOLOGIN; END $$;"
    monkeypatch.setattr(sql, "migrations", lambda: [(1, "0001_role.sql", text)])
    monkeypatch.setattr(migrations, "_has_role", lambda conn: False)
    name = f"pfa_test_owner_{os.getpid()}"
    postgres.admin.execute(f"CREATE ROLE {name} LOGIN")
    database = postgres.create()
    try:
        owned = postgres.url(database).replace("postgres@", f"{name}@")
        postgres.admin.execute(f"ALTER DATABASE {database} OWNER TO {name}")
        with (
            psycopg.connect(owned, autocommit=True) as connection,
            pytest.raises(ConfigInvalid, match="the role pfa_app") as caught,
        ):
            migrations.upgrade(connection)
        assert "CREATE ROLE pfa_app" in caught.value.hint
    finally:
        postgres.drop(database)
        postgres.admin.execute(f"DROP ROLE {name}")


def test_a_database_that_keeps_no_utf8_is_refused(postgres):
    name = f"{postgres.prefix}_latin1"
    postgres.admin.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
    )
    try:
        with (
            psycopg.connect(postgres.url(name), autocommit=True) as connection,
            pytest.raises(ConfigInvalid, match="UTF8"),
        ):
            migrations.upgrade(connection)
    finally:
        postgres.drop(name)
