"""Where tables lie on several nodes, and migrations statement by statement: what of both holds on one machine."""

from __future__ import annotations

import psycopg
import pytest

import pfa_core
from pfa_core import Flags, errors, sql
from pfa_core.sql.script import statements_of
from pfa_core.sql.tables import PLACEMENTS, Placement, placed
from pfa_core.store import distribution, rls
from pfa_core.store.database import Database
from tests import citus
from tests.store.test_prerelease import catalog

SCRIPTS = [
    ("SELECT 1; SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
    ("SELECT 1; SELECT 2", ["SELECT 1;", "SELECT 2"]),
    ("-- one; two\nSELECT 1; -- the end; really\n", ["-- one; two\nSELECT 1;"]),
    ("/* a; b */ SELECT 1;\n/* only; this */", ["/* a; b */ SELECT 1;"]),
    ("SELECT 'a;''b;', E'it\\'s; so', \"c;d\";", ["SELECT 'a;''b;', E'it\\'s; so', \"c;d\";"]),
    ("SELECT 'a\\'; SELECT 2;", ["SELECT 'a\\';", "SELECT 2;"]),
    ("DO $$ BEGIN a; b; END $$; SELECT 1;", ["DO $$ BEGIN a; b; END $$;", "SELECT 1;"]),
    ("DO $a$ x; $$ y; $b$ z; $a$; SELECT 1;", ["DO $a$ x; $$ y; $b$ z; $a$;", "SELECT 1;"]),
    ("SELECT a$b$c; SELECT $1;", ["SELECT a$b$c;", "SELECT $1;"]),
    ("", []),
    ("  \n-- nothing;\n", []),
]


@pytest.mark.parametrize(("script", "statements"), SCRIPTS)
def test_a_script_is_split_where_statements_end_and_nowhere_else(
    script: str, statements: list[str]
) -> None:
    assert list(statements_of(script)) == statements


def test_a_body_that_would_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="BEGIN ATOMIC"):
        list(statements_of("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;"))


@pytest.mark.slow
@citus.of_one_machine
def test_the_schema_statement_by_statement_is_the_schema(
    empty_database_url: str, database_url: str, postgres
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute(sql.statements("schema")["create"])
        for _, _, text in sql.migrations():
            statements = list(statements_of(text))
            assert len(statements) > 200
            for statement in statements:
                conn.execute(statement)
        conn.execute("SELECT pfa_index_mirror()")
    assert catalog(empty_database_url, postgres) == catalog(database_url, postgres)


def test_every_table_has_its_place(database_url: str) -> None:
    """By organization where it has one; whole on every node what belongs to the installation."""
    with psycopg.connect(database_url) as conn:
        tables = dict(
            conn.execute(
                "SELECT c.relname, (SELECT a.attcollation::regcollation::text FROM pg_attribute AS a"
                " WHERE a.attrelid = c.oid AND a.attname = 'organization_id') FROM pg_class AS c"
                " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
            ).fetchall()
        )
    assert set(tables) == set(PLACEMENTS)
    local = set(placed(Placement.LOCAL))
    assert local == {"audit_expected"}
    for name, collation in tables.items():
        if name not in local:
            by = Placement.DISTRIBUTED if collation else Placement.REFERENCE
            assert PLACEMENTS[name] is by, name
            # Tables lie together only where their organizations compare alike.
            assert collation in (None, '"C"'), name


@citus.of_one_machine
def test_on_one_machine_nothing_is_distributed_and_the_cure_is_said(database_url: str) -> None:
    settings = pfa_core.resolve(Flags(database_url=database_url))
    with pytest.raises(errors.ConfigInvalid) as refused:
        pfa_core.distribute(settings)
    assert refused.value.exit_code == 78
    assert "no Citus" in refused.value.message
    assert "CREATE EXTENSION citus" in refused.value.hint
    assert pfa_core.cluster_status(settings) is None
    status = pfa_core.database_status(settings)
    assert (status.workers, status.shards, status.problem) == (None, None, "")
    with Database(database_url) as db:
        assert not db.read(rls.is_distributed)
        assert db.read(distribution.places) == []


def test_the_embedded_server_is_one_machine() -> None:
    with pytest.raises(errors.ConfigInvalid) as refused:
        pfa_core.distribute(pfa_core.resolve(Flags()))
    assert "--database-url" in refused.value.hint


def test_a_database_without_the_schema_is_not_distributed(empty_database_url: str) -> None:
    with pytest.raises(errors.SchemaOutdated):
        pfa_core.distribute(pfa_core.resolve(Flags(database_url=empty_database_url)))
