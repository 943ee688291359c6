"""Migrations: once each, in one piece, by one at a time, and never over a changed one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from pfa_core import sql
from pfa_core.errors import ConfigInvalid, SchemaOutdated
from pfa_core.store import migrations
from pfa_core.store.database import Database
from pfa_core.store.migrations import UpgradeReport

pytestmark = pytest.mark.every_version

ALL = tuple(name for _, name, _ in sql.migrations())
NEWEST = sql.migrations()[-1][0]


@pytest.fixture
def empty(empty_database_url):
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def migrated(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def tables(connection) -> list[str]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return sorted(row[0] for row in found)


def test_migrations_are_numbered_from_one_without_gaps_and_named_for_what_they_bring():
    assert [number for number, _, _ in sql.migrations()] == list(range(1, NEWEST + 1))
    assert all(name[4] == "_" and name.endswith(".sql") for name in ALL)
    assert migrations.program_version() == NEWEST


def test_an_empty_database_gets_them_all(empty):
    assert migrations.schema_version(empty) is None
    assert migrations.upgrade(empty) == UpgradeReport(0, NEWEST, ALL)
    assert migrations.schema_version(empty) == NEWEST
    assert "pfa_mirror" in tables(empty)


def test_a_second_upgrade_applies_nothing(migrated):
    before = tables(migrated)
    assert migrations.upgrade(migrated) == UpgradeReport(NEWEST, NEWEST, ())
    assert tables(migrated) == before


def test_a_dry_run_tells_the_same_and_leaves_nothing(empty):
    assert migrations.upgrade(empty, dry_run=True) == UpgradeReport(0, NEWEST, ALL)
    assert tables(empty) == []
    assert migrations.schema_version(empty) is None
    assert migrations.upgrade(empty) == UpgradeReport(0, NEWEST, ALL)


def test_a_database_that_is_newer_than_the_program_is_refused(migrated):
    migrated.execute(
        "INSERT INTO pfa_schema_migration VALUES (%s, 'x.sql', 'x', now())", [NEWEST + 1]
    )
    with pytest.raises(SchemaOutdated, match="newer"):
        migrations.upgrade(migrated)
    with pytest.raises(SchemaOutdated, match="newer"):
        migrations.require_current(NEWEST + 1)


@pytest.mark.parametrize(
    ("version", "told"), [(None, "no schema"), (NEWEST - 1, f"schema {NEWEST - 1}")]
)
def test_a_database_that_is_older_than_the_program_is_told_how_to_upgrade(version, told):
    with pytest.raises(SchemaOutdated, match=told) as caught:
        migrations.require_current(version)
    assert caught.value.hint == "type: pfa db upgrade"
    migrations.require_current(NEWEST)


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(migrated):
    migrated.execute("UPDATE pfa_schema_migration SET checksum = 'x' WHERE version = 1")
    with pytest.raises(ConfigInvalid, match=f"{ALL[0]} is not the one"):
        migrations.upgrade(migrated)


def test_after_a_refusal_nobody_is_kept_waiting(migrated, database_url):
    migrated.execute("UPDATE pfa_schema_migration SET checksum = 'x' WHERE version = 1")
    with pytest.raises(ConfigInvalid):
        migrations.upgrade(migrated)
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert migrated.execute(locks).fetchone() == (0,)


def test_a_migration_that_fails_leaves_nothing_of_itself(empty, monkeypatch):
    bad = (NEWEST + 1, "9999_bad.sql", "CREATE TABLE half (a int); SELECT 1 / 0;")
    real = sql.migrations()
    monkeypatch.setattr(sql, "migrations", lambda: [*real, bad])
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrations.upgrade(empty)
    assert "half" not in tables(empty)
    assert migrations.schema_version(empty) == NEWEST
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert empty.execute(locks).fetchone() == (0,)


def test_an_extension_that_the_server_lacks_is_named_with_its_cure(empty, monkeypatch):
    bad = (NEWEST + 1, "9999_bad.sql", "CREATE EXTENSION no_such_extension;")
    real = sql.migrations()
    monkeypatch.setattr(sql, "migrations", lambda: [*real, bad])
    with pytest.raises(
        ConfigInvalid, match=r"lacks an extension that migration 9999_bad\.sql"
    ) as told:
        migrations.upgrade(empty)
    assert "contrib" in told.value.hint
    assert migrations.schema_version(empty) == NEWEST


def test_two_upgrades_at_once_both_succeed_and_each_migration_is_applied_once(empty_database_url):
    together = Barrier(2)

    def upgrade(_: int) -> UpgradeReport:
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            together.wait()
            return migrations.upgrade(connection)

    with ThreadPoolExecutor(2) as pool:
        reports = sorted(pool.map(upgrade, range(2)), key=lambda report: report.before)
    assert reports == [UpgradeReport(0, NEWEST, ALL), UpgradeReport(NEWEST, NEWEST, ())]


def test_a_handle_refuses_a_database_without_the_schema_unless_told_not_to(empty_database_url):
    with Database(empty_database_url) as db, pytest.raises(SchemaOutdated, match="no schema"):
        db.read(lambda conn: None)
    with Database(empty_database_url, require_schema=False) as db:
        assert db.administer(migrations.upgrade).applied == ALL
    with Database(empty_database_url) as db:
        assert db.read(migrations.schema_version) == NEWEST


def test_size_and_version_are_told(migrated):
    size, version = migrations.size_and_version(migrated)
    assert size > 1_000_000
    assert version[:2].isdigit()


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
