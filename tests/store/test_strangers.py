"""What a stranger with the database password alone does to others: their commands say why they do not go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import pfa_core
from pfa_core import errors
from pfa_core.model.query import Query
from pfa_core.store import migrations, session, silence
from pfa_core.store.database import Database
from tests.factories import World, a_world, draft, record
from tests.worlds import built_once


def a_small_world(url: str) -> World:
    return a_world(url, record("P-1"), users={"ann": "admin"})


world = built_once(a_small_world)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of a second, not of minutes."""
    monkeypatch.setattr(session, "LOCK_SECONDS", 2)
    monkeypatch.setattr(silence, "NOTICE_SECONDS", 0.3)
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1.0)
    monkeypatch.setattr(migrations, "_NOTICE_SECONDS", 0.2)


@pytest.fixture
def stranger(world: World) -> Iterator[psycopg.Connection]:
    with psycopg.connect(world.url, application_name="a stranger") as conn:
        yield conn


class TestLocks:
    @pytest.mark.variants(1)
    @pytest.mark.parametrize("lock", ["ACCESS EXCLUSIVE", "a row"])
    def test_a_lock_of_another_session_ends_a_command_with_its_name(
        self,
        world: World,
        stranger: psycopg.Connection,
        lock: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        if lock == "a row":
            stranger.execute(
                "SELECT FROM pfa_member WHERE organization_id = 'ORG' AND user_id = 'ann' FOR UPDATE"
            )
        else:
            stranger.execute("LOCK TABLE pfa_member IN ACCESS EXCLUSIVE MODE")
        with caplog.at_level(logging.WARNING, "pfa"), pytest.raises(errors.Locked) as raised:
            draft(world.db, world.principal(), "P-1", model="x")
        pid = stranger.info.backend_pid
        said = f"process {pid} of {stranger.info.user} (a stranger) holds a lock since "
        assert said in raised.value.message
        assert said in caplog.text
        assert f"pg_terminate_backend({pid})" in raised.value.hint
        stranger.rollback()
        assert draft(world.db, world.principal(), "P-1", model="x")

    def test_a_lock_that_is_let_go_in_time_is_waited_for(
        self, world: World, stranger: psycopg.Connection
    ) -> None:
        stranger.execute("LOCK TABLE pfa_member IN ACCESS EXCLUSIVE MODE")
        timer = threading.Timer(0.6, stranger.rollback)
        timer.start()
        assert pfa_core.count_records(world.db, world.principal(), Query()) == 1
        timer.join()

    def test_an_upgrade_names_who_holds_its_lock(
        self, world: World, stranger: psycopg.Connection, caplog: pytest.LogCaptureFixture
    ) -> None:
        stranger.execute("SELECT pg_advisory_lock(7245001)")
        with Database(world.url, require_schema=False) as db:
            with caplog.at_level(logging.WARNING, "pfa"), pytest.raises(errors.Locked) as raised:
                db.administer(migrations.upgrade)
            said = f"process {stranger.info.backend_pid} of {stranger.info.user} (a stranger)"
            assert said in raised.value.message
            assert said in caplog.text
            stranger.execute("SELECT pg_advisory_unlock(7245001)")
            assert db.administer(migrations.upgrade).applied == ()


class TestSettings:
    """What a role may set for itself, which several people share."""

    @pytest.fixture
    def shared(self, world: World) -> Iterator[str]:
        with psycopg.connect(world.url, autocommit=True) as owner:
            # Its name is a word of SQL.
            owner.execute('CREATE ROLE "user" LOGIN IN ROLE pfa_app')
            yield make_conninfo(world.url, user="user")
            owner.execute('DROP ROLE "user"')

    def alter(self, address: str, name: str, value: str) -> None:
        with psycopg.connect(address, autocommit=True) as conn:
            conn.execute(
                sql.SQL('ALTER ROLE "user" SET {} = {}').format(
                    sql.Identifier(name), sql.Literal(value)
                )
            )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("row_security", "off"),
            ("statement_timeout", "1h"),
            ("lock_timeout", "1"),
            ("idle_in_transaction_session_timeout", "1"),
            ("default_transaction_read_only", "on"),
        ],
    )
    def test_a_setting_of_the_role_means_nothing_to_pfa(
        self, shared: str, name: str, value: str
    ) -> None:
        self.alter(shared, name, value)
        with Database(shared) as db:
            assert db.read(lambda conn: conn.execute("SELECT 1").fetchone()) == (1,)

    def test_a_search_path_that_leads_elsewhere_is_named(self, shared: str, world: World) -> None:
        self.alter(shared, "search_path", "pg_temp")
        with Database(shared) as db, pytest.raises(errors.ConfigInvalid) as raised:
            db.read(lambda conn: conn.execute("SELECT 1"))
        assert raised.value.message == (
            "the search_path of user is pg_temp; pfa's tables are in the schema public"
        )
        assert raised.value.hint == 'an administrator types: ALTER ROLE "user" RESET search_path'
        with psycopg.connect(world.url, autocommit=True) as owner:
            owner.execute(raised.value.hint.partition(": ")[2].encode())
        with psycopg.connect(shared) as again:
            assert again.execute("SHOW search_path").fetchone() != ("pg_temp",)

    def test_a_time_limit_that_ends_all_is_named(
        self, shared: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def ended(*_: object) -> None:
            raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

        monkeypatch.setattr(session, "settle", ended)
        with (
            Database(shared) as db,
            pytest.raises(errors.ConfigInvalid, match="a time limit") as raised,
        ):
            db.read(lambda conn: conn.execute("SELECT 1"))
        assert raised.value.hint == 'an administrator types: ALTER ROLE "user" RESET ALL'
