"""Row-level security from the program's side."""

from __future__ import annotations

import os
from dataclasses import replace

import psycopg
import pytest

import pfa_core
from pfa_core.store import rls
from pfa_core.store.database import Database
from tests.factories import a_world, record
from tests.owners import an_owner
from tests.server import bound_url, url_of


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
@pytest.mark.slow
@pytest.mark.skipif("PFA_TEST_DATABASE_URL" in os.environ, reason="makes roles of its own")
def test_the_owner_need_be_no_superuser(postgres):
    with an_owner(postgres) as owned, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_TEST_BOUND", "1")
        words = {
            **postgres.parameters,
            "dbname": psycopg.conninfo.conninfo_to_dict(owned)["dbname"],
        }
        bound_url(url_of(words))
        with Database(owned) as db:
            assert db.read(rls.status) == (True, False, False)
        world = a_world(owned, record("P-1"), login=url_of(words))
        assert (
            len(pfa_core.list_records(world.db, world.principal(), pfa_core.Query()).records) == 1
        )
        found = pfa_core.list_records(
            world.db, world.principal(), pfa_core.Query(pfa_core.Filters(search="north"))
        )
        assert len(found.records) == 1
        world.db.close()
        world.owner.close()
