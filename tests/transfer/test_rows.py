"""A backup of tables without policies comes back as one with them: its rows alone are restored."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.errors import InvalidData
from pfa_core.store import distribution
from pfa_core.transfer.rows import parts_of
from tests.citus import is_named
from tests.factories import World, a_world, commit, draft, record
from tests.store.test_prerelease import catalog
from tests.transfer.test_backup import backup_of, settings
from tests.worlds import built_once

# Of a cluster's own tables: tests/store/test_distributed.py.
pytestmark = pytest.mark.skipif(is_named, reason="takes the policies of one machine's tables")


@built_once
def bare(url: str) -> World:
    """Two records, a commit and a draft, in tables that are as distributed ones are."""
    world = a_world(url, record("P-1"), record("P-2"), users={"ann": "admin"})
    ann = world.principal()
    draft(world.db, ann, "P-1", equipment="a\\.\n\\.\n\tb")
    commit(world.db, ann)
    draft(world.db, ann, "P-2", monthlyRate=3)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(distribution._SQL["lift"])
        conn.execute(distribution._SQL["grants"])
    return world


def rows(url: str) -> dict[str, list[str]]:
    """Every row of every table but when the migrations were applied."""
    with psycopg.connect(url) as conn:
        names = conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        return {
            name: [row[0] for row in conn.execute(f"SELECT t::text FROM {name} AS t ORDER BY 1")]
            for (name,) in names
        }


@pytest.mark.long
def test_policies_and_grants_are_those_of_the_schema_and_the_rows_those_of_the_backup(
    bare: World, template: str, database_url: str, empty_database_url: str, tmp_path: Path, postgres
) -> None:
    file = tmp_path / "pfa.dump"
    made = pfa_core.backup_database(settings(bare.url), file)
    assert (made.whole, [one.records for one in made.organizations]) == (True, [2])
    restored = pfa_core.restore_database(settings(empty_database_url), file)
    assert (restored.whole, restored.organizations) == (True, made.organizations)
    assert rows(empty_database_url) == rows(bare.url)
    assert catalog(empty_database_url, postgres) == catalog(database_url, postgres)
    assert catalog(bare.url, postgres) != catalog(database_url, postgres)


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("CREATE TABLE ledger (a int); INSERT INTO ledger VALUES (1)", "has ledger with a, which"),
        ("ALTER TABLE pfa_view ADD colour text", "has pfa_view with colour, which its schema"),
        (
            "ALTER TABLE pfa_organization DROP CONSTRAINT pfa_organization_rate_uom_check;"
            " UPDATE pfa_organization SET rate_uom = 'x'",
            "pfa_organization does not take a row: by pfa_organization_rate_uom_check",
        ),
    ],
)
def test_what_the_schema_does_not_take_is_refused_whole(
    bare: World, empty_database_url: str, tmp_path: Path, before: str, why: str
) -> None:
    with psycopg.connect(bare.url, autocommit=True) as conn:
        conn.execute(before)
    file = tmp_path / "pfa.dump"
    backup_of(bare.url, file)
    with pytest.raises(InvalidData, match=why):
        pfa_core.restore_database(settings(empty_database_url), file)
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT to_regclass('pfa_mirror')").fetchone() == (None,)


@pytest.mark.long
def test_rows_that_are_not_those_of_copy_and_a_newer_schema_are_refused(
    bare: World, empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "pfa.dump"
    for option in ("--inserts", "--encoding=SQL_ASCII"):
        backup_of(bare.url, file, option)
        with pytest.raises(InvalidData, match="more than rows of tables as COPY"):
            pfa_core.restore_database(settings(empty_database_url), file)
    bare.execute("INSERT INTO pfa_schema_migration VALUES (99, '0099_later.sql', 'x', now())")
    backup_of(bare.url, file)
    with pytest.raises(errors.SchemaOutdated, match=r"pfa\.dump has schema 99, newer .*; nothing"):
        pfa_core.restore_database(settings(empty_database_url), file)


def test_a_row_that_looks_like_the_end_of_its_table_is_a_row() -> None:
    script = [
        b"--\n", b"\n", b"SET x = 0;\n", b"COPY public.one (a, \"b\") FROM stdin;\n", b"\\\\.\n", b"COPY\n",
        b"\\.\n", b"COPY two (a) FROM stdin;\n", b"\\.\n",
    ]  # fmt: skip
    found = [(part.table, part.columns, list(part.lines)) for part in parts_of(iter(script))]
    assert found == [("one", ["a", "b"], [b"\\\\.\n", b"COPY\n"]), ("two", ["a"], [])]
