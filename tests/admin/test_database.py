"""The database as a whole: its schema is checked before anything is asked of it."""

from __future__ import annotations

import psycopg
import pytest

import pfa_core
from pfa_core import Flags, Query, errors
from pfa_core.config.settings import Settings
from tests.factories import SelfClosing, a_principal, a_world, draft, record
from tests.life_cycle.views import ids


def settings(url: str) -> Settings:
    return pfa_core.resolve(Flags(database_url=url))


def test_a_database_without_the_schema_is_refused_and_told_what_to_type(
    empty_database_url: str,
) -> None:
    with SelfClosing(empty_database_url) as db:
        with pytest.raises(errors.SchemaOutdated) as refused:
            pfa_core.list_records(db, a_principal(), Query())
        assert "pfa db upgrade" in refused.value.hint


@pytest.mark.slow
def test_an_upgrade_makes_it_usable_and_again_changes_nothing(empty_database_url: str) -> None:
    dry = pfa_core.upgrade(settings(empty_database_url), dry_run=True)
    assert pfa_core.database_status(settings(empty_database_url)).schema_version in (None, 0)
    done = pfa_core.upgrade(settings(empty_database_url))
    again = pfa_core.upgrade(settings(empty_database_url))
    assert dry == done
    assert done != again
    world = a_world(empty_database_url, record("P-1"))
    assert ids(world) == ["P-1"]
    world.db.close()


def test_a_database_is_told_how_it_is(database_url: str) -> None:
    status = pfa_core.database_status(settings(database_url))
    assert (status.kind, status.reachable, status.problem) == ("server", True, "")
    assert status.schema_version == status.program_schema


def test_an_address_is_shown_without_its_password() -> None:
    url = "postgresql://ann:geheim@127.0.0.1:1/none?connect_timeout=1"
    status = pfa_core.database_status(settings(url))
    assert (status.reachable, status.schema_version) == (False, None)
    assert "geheim" not in repr(status)
    assert "geheim" not in repr(settings(url))
    assert status.problem


def test_a_server_that_is_not_there_is_unavailable_and_trying_again_can_help() -> None:
    with SelfClosing("postgresql://ann:geheim@127.0.0.1:1/none") as db:
        with pytest.raises(errors.DatabaseUnavailable) as refused:
            pfa_core.list_records(db, a_principal(), Query())
        assert refused.value.retryable
        assert "geheim" not in refused.value.message + refused.value.hint


def test_a_server_of_ones_own_is_not_ours_to_stop(database_url: str) -> None:
    with pytest.raises(errors.ConfigInvalid):
        pfa_core.stop_embedded(settings(database_url))
    assert pfa_core.database_url(settings(database_url)) == database_url


@pytest.mark.parametrize("how", ["read", "write", "stream"])
def test_a_connection_that_broke_between_two_calls_is_opened_anew(
    database_url: str, how: str
) -> None:
    world = a_world(database_url, record("P-1"))
    use = {
        "read": lambda: pfa_core.count_records(world.db, world.principal(), Query()),
        "write": lambda: draft(world.db, world.principal(), model="A"),
        "stream": lambda: ids(world),
    }[how]
    for _ in range(2):
        pid = world.rows("SELECT pg_backend_pid()")[0][0]
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s::int, 5000)", [pid])
        use()
    world.db.close()
