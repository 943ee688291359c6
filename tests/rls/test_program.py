"""Row-level security from the program's side."""

from __future__ import annotations

import os
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

import pfa_core
from pfa_core.store import rls
from pfa_core.store.database import Database
from tests.factories import a_world, record
from tests.server import bound_url


def test_a_principal_without_a_token_is_turned_away(two):
    with pytest.raises(pfa_core.errors.Unauthorized):
        pfa_core.list_records(
            two.org.db, replace(two.org.principal("ann"), token=None), pfa_core.Query()
        )


def test_a_principal_never_shows_its_token(two):
    ann = two.org.principal("ann")
    assert ann.token is not None
    assert ann.token.reveal() not in f"{ann!r} {ann}"


def test_whether_rls_applies_to_a_connection_is_known(two, postgres):
    with Database(two.url) as owner, Database(two.bound) as app:
        assert owner.read(rls.applies) is False
        assert app.read(rls.applies) is True
        facts = app.read(rls.role)
        assert facts is not None
        assert facts[1:] == (False, False, False, True, False, False)


# Roles belong to the whole server: none is made on a server named for the tests, where it could remain.
@pytest.mark.skipif("PFA_TEST_DATABASE_URL" in os.environ, reason="makes roles of its own")
def test_the_owner_need_be_no_superuser(postgres):
    from pfa_core.store import migrations

    with postgres.database() as url:
        name = f"pfa_test_owner_{os.getpid()}"
        role = sql.Identifier(name)
        database = sql.Identifier(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        postgres.admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        postgres.admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PFA_TEST_BOUND", "1")
                owned = url.replace("postgres@", f"{name}:x@")
                with psycopg.connect(owned, autocommit=True) as conn:
                    migrations.upgrade(conn)
                    conn.execute("SELECT 1")
                with psycopg.connect(url, autocommit=True) as conn:
                    bound_url(url)
                with Database(owned) as db:
                    assert db.read(rls.status) == (True, False, False)
                world = a_world(owned, record("P-1"), login=url)
                assert (
                    len(
                        pfa_core.list_records(world.db, world.principal(), pfa_core.Query()).records
                    )
                    == 1
                )
                found = pfa_core.list_records(
                    world.db, world.principal(), pfa_core.Query(pfa_core.Filters(search="north"))
                )
                assert len(found.records) == 1
                world.db.close()
                world.owner.close()
        finally:
            with psycopg.connect(url, autocommit=True) as conn:
                conn.execute(sql.SQL("REASSIGN OWNED BY {} TO postgres").format(role))
                conn.execute(sql.SQL("DROP OWNED BY {}").format(role))
            postgres.admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(database))
            postgres.admin.execute(sql.SQL("DROP ROLE {}").format(role))
